"""How soon a range in the middle of a file comes, and whether that depends on the file's size."""

import random
import zlib
from pathlib import Path

from bench.images import Image, ct, multi_frame
from bench.load import drive
from bench.plan import Exchange
from bench.report import Finding, Target
from bench.scale import Scale
from bench.server import get, running_server
from mdm_async.client.ticket import Ticket

RANGE = 64 << 10
_SAME = 1.25
"""A ratio below which two medians of a fraction of a millisecond count as the same."""


async def measure(scale: Scale, folder: Path) -> Finding:
    """Ranges of 64 KiB of a large and of a small file by turns, over one connection, each checked by its bytes."""
    files = {f"{scale.large} MiB": multi_frame(200, scale.large), "1 MiB": multi_frame(201, 1)}
    finding = Finding("first byte", f"{RANGE >> 10} KiB from the middle of a file, ms")
    async with running_server(folder) as server:
        await server.put([*files.values(), ct(1)])
        medians = {}
        for sealed in (False, True):
            tickets = await server.turls(list(files.values()), sealed=sealed)
            exchanges = []
            for turn in range(scale.samples):
                for (name, image), ticket in zip(files.items(), tickets, strict=True):
                    exchanges.append(_middle(name, image, ticket, turn))
            outcome = await drive(server.plan(1, exchanges))
            for name in files:
                first, whole = outcome.first[name], outcome.whole[name]
                medians[sealed, name] = first.p50
                finding.rows.append(
                    {
                        "file": f"{name}, {'sealed' if sealed else 'clear'}",
                        "first byte p50": first.p50,
                        "first byte p95": first.p95,
                        "first byte p99": first.p99,
                        "last byte p50": whole.p50,
                        "last byte p95": whole.p95,
                        "last byte p99": whole.p99,
                    }
                )
    large, small = files
    for sealed in (False, True):
        ratio = medians[sealed, large] / medians[sealed, small]
        finding.targets.append(
            Target(
                f"first byte of a range ({'sealed' if sealed else 'clear'}): {large} as {small}",
                f"ratio of the medians {ratio:.2f}",
                ratio < _SAME,
            )
        )
    return finding


def _middle(name: str, image: Image, ticket: Ticket, turn: int) -> Exchange:
    """A range that begins somewhere in the middle tenth of the pixels."""
    place = int(image.pixels * random.Random(turn).uniform(0.45, 0.55)) - RANGE // 2
    start = ticket.size - image.pixels + place
    checksum = None
    if ticket.sealed is None:
        checksum = zlib.adler32(image.pixel_bytes(place, place + RANGE))
    return get(name, ticket, byte_range=(start, start + RANGE), size=RANGE, adler32=checksum)
