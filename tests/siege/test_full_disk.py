"""A disk that uploads, or others, fill: the reserve stays, reads are served, and the server can start and delete."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import aiohttp
import pytest

from tests.postgres.for_tests import postgres_folder
from tests.siege.besieged import Besieged, besieged
from tests.siege.small_disk import MIB, free, small_disk
from tests.web.made_images import made

RESERVE = 200 * MIB
SIZE = 600 * MIB
SETTINGS = {
    "blobs__reserve_free": str(RESERVE),
    "database__reserve_free": str(96 * MIB),
    "database__ballast": str(48 * MIB),
}


@pytest.fixture
def disk() -> Iterator[Path]:
    with postgres_folder() as folder:
        folder.chmod(0o755)
        with small_disk(folder / "disk", SIZE) as place:
            yield place


@pytest.fixture
async def cramped(disk: Path, tmp_path: Path, ct: bytes) -> AsyncIterator[Besieged]:
    """A server with all that it has on one small disk."""
    async with besieged(disk / "data", None, ct, log=tmp_path / "log", **SETTINGS) as server:
        yield server


async def _endless(stop: asyncio.Event) -> AsyncIterator[bytes]:
    """A file that says it has a gibibyte of pixels, and goes on for as long as it is taken."""
    image = made(pixels=MIB)
    length = image.rindex(MIB.to_bytes(4, "little"), 0, 200_000)
    yield image[:length] + (1 << 30).to_bytes(4, "little")
    while not stop.is_set():
        yield bytes(MIB)


async def _chunked(castle: Besieged, name: str, stop: asyncio.Event) -> int:
    """An upload without a length; how it is answered (0: cut)."""
    url = await _prepared(castle, name)
    try:
        async with castle.http.put(url, data=_endless(stop)) as answer:
            return answer.status
    except (ConnectionError, aiohttp.ClientError):
        return 0


async def _prepared(castle: Besieged, name: str) -> str:
    headers = {"Authorization": f"Bearer {castle.attacker}"}
    body = {"files": [{"surl": f"{castle.ground}/{name}"}]}
    async with castle.http.post(f"{castle.url}/srm/v2/prepareToPut", json=body, headers=headers) as answer:
        tree = await answer.json()
        assert answer.status == 200, tree
        return str(tree["files"][0]["transferURL"])


@pytest.mark.parametrize("at_once", [1, 12])
async def test_uploads_without_a_length_leave_the_reserve(
    cramped: Besieged, disk: Path, at_once: int
) -> None:
    least = free(disk)

    async def look() -> None:
        nonlocal least
        while True:
            least = min(least, free(disk))
            await asyncio.sleep(0.005)

    stop = asyncio.Event()
    looking = asyncio.create_task(look())
    async with cramped.neighbour.served_well(stall=10.0):
        statuses = await asyncio.gather(*(_chunked(cramped, f"{i}.dcm", stop) for i in range(at_once)))
    looking.cancel()
    assert set(statuses) <= {507, 0}, statuses
    assert RESERVE - 32 * MIB < least < RESERVE + 64 * MIB, least / MIB
