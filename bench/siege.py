"""What a well-behaved caller notices of another who attacks: how long his answers take, calm and under each attack."""

import asyncio
import statistics
import sys
import zlib
from collections.abc import AsyncIterator, Collection
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from bench.besieger import Attack
from bench.images import Image, ct, multi_frame
from bench.load import drive
from bench.plan import Cycle, File, Outcome, Plan
from bench.report import Finding, Target
from bench.scale import Scale
from bench.server import FOLDER, Server, get, running_server, surl_of
from mdm_async.client.client import Client
from mdm_async.client.ticket import Ticket
from mdm_async.client.tokens import Token

MOVED = 0.2
"""By how much of itself the neighbour's p99 may grow."""
_CONNECTIONS = 4
_PAUSE = 0.02
"""Seconds that each of the neighbour's connections waits between two things it does."""
_LABELS = ("cycle", "read")
_ROOT = Path(__file__).parents[1]


async def measure(scale: Scale, folder: Path, *, only: Collection[str] | None = None) -> Finding:
    """Each attack in rounds of calm and siege, one after the other: what this machine does besides is in both.

    `only`: names of the attacks, if not all.
    """
    images, large = [ct(number) for number in range(scale.images)], multi_frame(0, scale.large)
    finding = Finding("siege", f"a neighbour of {_CONNECTIONS} connections, calm and besieged; milliseconds")
    async with running_server(folder) as server:
        await server.put([*images, large])
        plan = await _neighbour(server, images, scale)
        calmest: list[Outcome] = []
        for name, attack in (await _attacks(server, images, large, scale)).items():
            if only is not None and name not in only:
                continue
            calm, besieged = [await drive(plan)], list[Outcome]()
            for _ in range(scale.rounds):
                async with _attacked(attack):
                    besieged.append(await drive(plan))
                calm.append(await drive(plan))
            calmest += calm
            finding.rows.append(_row(name, besieged, calm))
            finding.targets += [_target(name, label, besieged, calm) for label in _LABELS]
    finding.rows.insert(0, _row("calm", calmest, calmest))
    return finding


async def _neighbour(server: Server, images: list[Image], scale: Scale) -> Plan:
    """He reads what he prepared before, and prepares, reads and releases."""
    token = await server.client.tokens.create("neighbour", "rl", FOLDER)
    tickets = await _turls(server, token, images)
    tails = [zlib.adler32(image.pixel_bytes(0, image.pixels)) for image in images]
    reads = [
        get("read", ticket, size=ticket.size, tail=image.pixels, adler32=tail)
        for ticket, image, tail in zip(tickets, images, tails, strict=True)
    ]
    cycles = [
        Cycle([File(surl_of(image), image.pixels, tail)]) for image, tail in zip(images, tails, strict=True)
    ]
    plan = server.plan(_CONNECTIONS, reads, cycles=cycles, seconds=scale.siege, pause=_PAUSE)
    return replace(plan, authorization=f"Bearer {token.secret}")


async def _attacks(server: Server, images: list[Image], large: Image, scale: Scale) -> dict[str, Attack]:
    token = await server.client.tokens.create("besieger", "rl", FOLDER)
    (ticket,) = await _turls(server, token, [large])
    of_one = Attack("loops", server.host, server.port, token.secret or "", 64, [surl_of(i) for i in images])
    readers = replace(of_one, kind="readers", transfer_url=str(ticket.url))
    return {
        "100 slow readers": replace(readers, many=100),
        "1,100 slow readers": replace(readers, many=1_100),
        "64 loops of prepareToGet × 200": replace(of_one, files=200),
        "64 loops of prepareToGet × 1": of_one,
        "64 anonymous loops × 200": replace(of_one, files=200, token=""),
        f"{scale.outstanding:,} outstanding requests": replace(
            of_one, kind="outstanding", many=scale.outstanding
        ),
    }


async def _turls(server: Server, token: Token, images: list[Image]) -> list[Ticket]:
    """Transfer URLs that are this token's."""
    async with Client(server.url, token.secret) as client:
        prepared = await client.prepare([surl_of(image) for image in images], view="basic", sealed=False)
        for error in prepared.failures.values():
            raise error
        return list(prepared.tickets)


@asynccontextmanager
async def _attacked(attack: Attack) -> AsyncIterator[None]:
    """From when it has begun until the block ends."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "bench.besieger"),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        cwd=_ROOT,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        process.stdin.write(attack.to_json())
        if await process.stdout.readline() != b"begun\n":
            raise RuntimeError(f"the attack did not begin: {attack.kind}")
        yield
    finally:
        process.stdin.close()
        await process.wait()


def _row(name: str, besieged: list[Outcome], calm: list[Outcome]) -> dict[str, Any]:
    row: dict[str, Any] = {"while": name}
    for label in _LABELS:
        row |= {f"{label} {what}": _median(besieged, label, what) for what in ("p50", "p99")}
        row[f"{label} p99 moved"] = f"{_moved(label, besieged, calm):+.0%}"
    return row


def _median(outcomes: list[Outcome], label: str, what: str) -> float:
    return statistics.median(getattr(outcome.whole[label], what) for outcome in outcomes)


def _moved(label: str, besieged: list[Outcome], calm: list[Outcome]) -> float:
    return _median(besieged, label, "p99") / _median(calm, label, "p99") - 1


def _target(name: str, label: str, besieged: list[Outcome], calm: list[Outcome]) -> Target:
    moved = _moved(label, besieged, calm)
    promise = f"{name}: the neighbour's p99 ({label}) moves by less than 20 %"
    return Target(promise, f"{moved:+.0%}", moved < MOVED)
