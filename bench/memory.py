"""What a large file adds to the server's resident memory, on its way in and out."""

from pathlib import Path

from bench.images import Image, ct, multi_frame
from bench.load import drive
from bench.report import Finding, Target
from bench.scale import Scale
from bench.server import Server, get, running_server
from bench.usage import Growth

LIMIT = 32 << 20
_TIMES = 3


async def measure(scale: Scale, folder: Path) -> Finding:
    """The peak over what the server had when it was warm: small files had gone in and out."""
    finding = Finding("memory", f"resident memory of the server (MiB) around a {scale.large} MiB file")
    async with running_server(folder) as server:
        await _warm(server, [ct(number) for number in range(8)])
        warm = server.meter.resident()
        uploads = []
        for turn in range(_TIMES):
            large = multi_frame(100 + turn, scale.large)
            async with server.meter.growth() as growth:
                await server.put([large])
            _add(finding, f"upload {turn + 1}", growth, warm)
            uploads.append(growth)
        downloads = []
        for sealed in (False, True):
            (ticket,) = await server.turls([large], sealed=sealed)
            checksum = int(ticket.adler32, 16)
            if not sealed:
                await server.view_of(large, ticket)
            for turn in range(_TIMES):
                exchange = get("get", ticket, size=ticket.size, adler32=checksum)
                async with server.meter.growth() as growth:
                    await drive(server.plan(1, [exchange]))
                _add(finding, f"{'sealed' if sealed else 'clear'} download {turn + 1}", growth, warm)
                downloads.append(growth)
    for name, growths in (("uploading", uploads), ("downloading", downloads)):
        # Against the warm server, so that what the first one leaves behind counts in the next.
        added = max(max(growth.peak, growth.sampled) for growth in growths) - warm
        finding.targets.append(
            Target(
                f"{name} {scale.large} MiB adds less than {LIMIT >> 20} MiB",
                f"{_mib(added):.1f} MiB over the warm server, at the most",
                added < LIMIT,
            )
        )
    finding.remarks.append("workers that scrub and Postgres are processes of their own and not counted")
    return finding


async def _warm(server: Server, images: list[Image]) -> None:
    await server.put(images)
    for sealed in (False, True):
        tickets = await server.turls(images, sealed=sealed)
        exchanges = [get("get", t, size=t.size, adler32=int(t.adler32, 16)) for t in tickets]
        await drive(server.plan(4, exchanges))


def _add(finding: Finding, what: str, growth: Growth, warm: int) -> None:
    finding.rows.append(
        {
            "what": what,
            "before": _mib(growth.before),
            "peak (VmHWM)": _mib(growth.peak),
            "peak (sampled)": _mib(growth.sampled),
            "after": _mib(growth.after),
            "added": _mib(growth.added),
            "over warm": _mib(max(growth.peak, growth.sampled) - warm),
        }
    )


def _mib(size: int) -> float:
    return size / (1 << 20)
