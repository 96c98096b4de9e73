"""Files on their way in: how fast, at what cost."""

from pathlib import Path

from bench.images import Image, ct, multi_frame
from bench.report import Finding
from bench.scale import Scale
from bench.server import running_server

GB = 1e9
_CONNECTIONS = 8


async def measure(scale: Scale, folder: Path) -> Finding:
    """Every file's checksum is compared by what the server says it received; some are read back."""
    finding = Finding("ingest", "uploads (PUT; clear, all fsynced)")
    batches: dict[str, tuple[list[Image], int]] = {
        f"{scale.uploads} CTs of 512 KiB, {_CONNECTIONS} connections": (
            [ct(1000 + number) for number in range(scale.uploads)],
            _CONNECTIONS,
        ),
        f"one of {scale.large} MiB": ([multi_frame(400, scale.large)], 1),
        f"two of {scale.large} MiB at once": ([multi_frame(n, scale.large) for n in (401, 402)], 2),
    }
    async with running_server(folder) as server:
        await server.put([ct(number) for number in range(8)])
        for name, (images, connections) in batches.items():
            before = server.meter.cpu()
            outcome = await server.put(images, connections)
            used = server.meter.cpu() - before
            timing = outcome.whole["put"]
            finding.rows.append(
                {
                    "what": name,
                    "files/s": outcome.per_second,
                    "MB/s": outcome.megabytes_per_second,
                    "p50 ms": timing.p50,
                    "p99 ms": timing.p99,
                    "server CPU s/GB": used.server / outcome.volume * GB,
                    "Postgres s/GB": used.postgres / outcome.volume * GB,
                    "client CPU s/GB": outcome.client_cpu / outcome.volume * GB,
                }
            )
            last = images[-1]
            (ticket,) = await server.turls([last])
            await server.view_of(last, ticket)
    return finding
