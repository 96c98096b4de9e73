"""A disk that uploads, or others, fill: the reserve stays, reads are served, and the server can start and delete."""

import asyncio
import io
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import aiohttp
import pytest

from tests.faults.conditions import until
from tests.postgres.for_tests import postgres_folder
from tests.siege.besieged import Besieged, besieged
from tests.small_disk import MIB, fill, free, small_disk
from tests.web.made_images import made

RESERVE = 200 * MIB
SIZE = 440 * MIB
SETTINGS = {
    "blobs__reserve_free": str(RESERVE),
    "database__reserve_free": str(96 * MIB),
    "database__ballast": str(48 * MIB),
}


@pytest.fixture(scope="module")
def disk() -> Iterator[Path]:
    with postgres_folder() as folder:
        folder.chmod(0o755)
        with small_disk(folder / "disk", SIZE) as place:
            yield place


@pytest.fixture(scope="module")
def log(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("full") / "log"


@pytest.fixture(scope="module")
async def cramped(disk: Path, log: Path, ct: bytes) -> AsyncIterator[Besieged]:
    """A server with all that it has on one small disk. Each test leaves it with room."""
    async with besieged(disk / "data", None, ct, log=log, **SETTINGS) as server:
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
        names = [f"{at_once}-{i}.dcm" for i in range(at_once)]
        statuses = await asyncio.gather(*(_chunked(cramped, name, stop) for name in names))
    looking.cancel()
    await _becomes_ready(cramped, 200)
    assert set(statuses) <= {507, 0}, statuses
    assert RESERVE - 32 * MIB < least < RESERVE + 64 * MIB, least / MIB


async def _ready(castle: Besieged) -> tuple[int, str]:
    async with castle.http.get(f"{castle.url}/health/ready") as answer:
        return answer.status, await answer.text()


async def _becomes_ready(castle: Besieged, status: int) -> None:
    async def asked() -> bool:
        return (await _ready(castle))[0] == status

    await until(asked)


async def _put(castle: Besieged, name: str, content: bytes) -> int:
    headers = {"Authorization": f"Bearer {castle.attacker}"}
    body = {"files": [{"surl": f"{castle.ground}/{name}"}]}
    async with castle.http.post(f"{castle.url}/srm/v2/prepareToPut", json=body, headers=headers) as answer:
        tree = await answer.json()
        if answer.status != 200:
            return answer.status
    async with castle.http.put(tree["files"][0]["transferURL"], data=io.BytesIO(content)) as answer:
        if answer.status == 201:
            await castle.attack(
                "putDone", requestToken=tree["requestToken"], surls=[body["files"][0]["surl"]]
            )
        return answer.status


def _blobs(disk: Path) -> int:
    return sum(1 for path in (disk / "data" / "blobs").glob("??/*") if path.is_file())


async def _demand_deleting_works(castle: Besieged, disk: Path) -> None:
    """One of the files that were put, and with it its blobs."""
    before = _blobs(disk)
    assert await castle.attack("rm", surls=[f"{castle.ground}/a.dcm"]) == 200
    await until(lambda: _blobs(disk) < before)


async def test_others_fill_the_disk(cramped: Besieged, disk: Path, log: Path) -> None:
    """Who reads is served on, who deletes too, and all is told; when there is room again, all is as before."""
    assert await _put(cramped, "a.dcm", made(pixels=MIB)) == 201
    ballast = disk / "data" / "ballast"
    assert ballast.stat().st_size == 48 * MIB
    filler = fill(disk)
    await _becomes_ready(cramped, 503)
    assert "disk full (database)" in (await _ready(cramped))[1]
    await until(lambda: not ballast.exists())
    await until(lambda: _serves(cramped))
    async with cramped.neighbour.served_well(stall=10.0):
        assert await _put(cramped, "b.dcm", made(pixels=MIB, seed=1)) == 507
        assert await _put(cramped, "c.dcm", made()) == 507
        await _demand_deleting_works(cramped, disk)
    async with cramped.http.get(f"{cramped.url}/metrics") as answer:
        assert 'mdm_disk_full{disk="database"} 1.0' in await answer.text()
    headers = {"Authorization": f"Bearer {cramped.process.admin_token}"}
    async with cramped.http.get(f"{cramped.url}/admin/v1/status", headers=headers) as answer:
        assert any("database.reserve_free" in one for one in (await answer.json())["full"])
    filler.unlink()
    await _becomes_ready(cramped, 200)
    await until(lambda: ballast.exists())
    assert await _put(cramped, "d.dcm", made(pixels=MIB, seed=1)) == 201
    assert "disk full" in log.read_text()
    assert "disk has room again" in log.read_text()


async def _serves(castle: Besieged) -> bool:
    return await castle.attack("ls", surls=[castle.ground]) == 200


async def test_a_server_starts_on_a_full_disk_and_deletes(cramped: Besieged, disk: Path, log: Path) -> None:
    assert await _put(cramped, "a.dcm", made(pixels=MIB)) == 201
    await cramped.process.kill()
    filler = fill(disk)
    assert free(disk) < MIB
    await cramped.process.start(log)
    assert (await _ready(cramped))[0] == 503
    async with cramped.neighbour.served_well(stall=10.0):
        await _demand_deleting_works(cramped, disk)
    filler.unlink()
    await _becomes_ready(cramped, 200)
