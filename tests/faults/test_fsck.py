"""fsck: every way in which files and rows can part is found, and only what loses nothing is repaired."""

import asyncio
import os
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest

from mdm_async.images.upkeep import fsck as upkeep
from tests.conftest import Server
from tests.faults.conditions import blob_files, until
from tests.web.made_images import made

MIB = 1 << 20


async def fsck(server: Server, *, repair: bool = False) -> list[tuple[str, UUID, bool]]:
    answer = await server.call("POST", "/admin/v1/fsck", token=server.admin_token, json={"repair": repair})
    assert answer.status == 200, answer.body
    return sorted((f["kind"], UUID(f["blob"]), f["repaired"]) for f in answer.tree["findings"])


@pytest.fixture
async def blob(own_server: Server) -> Path:
    """The only blob of a server: an image's pixels."""
    await own_server.put("/a.dcm", made(pixels=300_000))
    (path,) = blob_files(own_server.data)
    return path


async def _execute(server: Server, statement: str, *arguments: Any) -> None:
    async with server.house.database.acquire() as db:
        await db.execute(statement, *arguments)


def _write(server: Server, blob: UUID) -> Path:
    path = server.data / "blobs" / blob.hex[:2] / blob.hex
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(b"written")
    return path


async def test_all_is_well(own_server: Server, blob: Path) -> None:
    assert await fsck(own_server) == await fsck(own_server, repair=True) == []
    assert blob.exists()


async def test_a_missing_file_is_reported_with_its_image(own_server: Server, blob: Path) -> None:
    blob.unlink()
    for repair in (False, True, False):
        assert await fsck(own_server, repair=repair) == [("missing", UUID(hex=blob.name), False)]
    answer = await own_server.call("POST", "/admin/v1/fsck", token=own_server.admin_token, json={})
    async with own_server.house.database.acquire() as db:
        assert answer.tree["findings"][0]["image"] == str(await db.fetchval("select id from images"))


@pytest.mark.parametrize("by", [-1, 1])
async def test_a_file_of_another_size_is_reported(own_server: Server, blob: Path, by: int) -> None:
    os.truncate(blob, blob.stat().st_size + by)
    for repair in (False, True, False):
        assert await fsck(own_server, repair=repair) == [("wrong size", UUID(hex=blob.name), False)]


async def test_a_file_without_a_row_is_reported_and_left(own_server: Server, blob: Path) -> None:
    stranger = uuid4()
    path = _write(own_server, stranger)
    for repair in (False, True, False):
        assert await fsck(own_server, repair=repair) == [("unknown file", stranger, False)]
    assert path.exists()


async def test_a_write_whose_lease_lapsed_is_given_up(own_server: Server, blob: Path) -> None:
    lapsed, living = uuid4(), uuid4()
    for name, life in ((lapsed, "-1 second"), (living, "1 minute")):
        await _execute(
            own_server, f"insert into blobs values ($1, 'writing', now() + interval '{life}')", name
        )
        _write(own_server, name)
    both = sorted([("unfinished", lapsed, False), ("unfinished", living, False)])
    assert await fsck(own_server) == both
    assert await fsck(own_server, repair=True) == sorted(
        [("unfinished", lapsed, True), ("unfinished", living, False)]
    )
    assert await fsck(own_server) == [("unfinished", living, False)]
    assert len(blob_files(own_server.data)) == 2


async def test_a_deletion_that_broke_off_is_finished(own_server: Server, blob: Path) -> None:
    doomed, deleted = uuid4(), uuid4()
    await _execute(own_server, "insert into blobs values ($1, 'doomed'), ($2, 'doomed')", doomed, deleted)
    _write(own_server, doomed)
    assert await fsck(own_server) == sorted([("doomed", doomed, False), ("doomed", deleted, False)])
    assert await fsck(own_server, repair=True) == sorted(
        [("doomed", doomed, True), ("doomed", deleted, True)]
    )
    assert await fsck(own_server) == []
    assert blob_files(own_server.data) == [blob]


async def test_what_others_left_in_the_store_is_passed_over(own_server: Server, blob: Path) -> None:
    (own_server.data / "blobs" / "lost+found").mkdir()
    (blob.parent / ".nfs0001").touch()
    assert await fsck(own_server) == []


async def test_uploads_and_removals_meanwhile_are_no_findings(own_server: Server) -> None:
    directory = await own_server.directory()
    stop = asyncio.Event()

    async def busy(name: str) -> None:
        while not stop.is_set():
            await own_server.put(f"{directory}/{name}", made(pixels=2 * MIB, seed=len(name)))
            await own_server.srm("rm", surls=[f"{directory}/{name}"])

    async with asyncio.TaskGroup() as group:
        for name in ("a", "bb", "ccc"):
            group.create_task(busy(name))
        for turn in range(40):
            found = {kind for kind, _, _ in await fsck(own_server, repair=turn % 2 == 1)}
            assert found <= {"unfinished", "doomed"}
        stop.set()

    async def nothing_is_left() -> bool:
        await fsck(own_server, repair=True)
        return await fsck(own_server) == []

    await until(nothing_is_left)


async def test_only_administrators_may(own_server: Server) -> None:
    answer = await own_server.call("POST", "/admin/v1/fsck", token=await own_server.token("rlxg"), json={})
    assert answer.status == 403


@pytest.mark.parametrize("page", [1, 2, 5, 1000])
async def test_rows_and_files_are_compared_page_by_page(
    own_server: Server, monkeypatch: pytest.MonkeyPatch, page: int
) -> None:
    directory = await own_server.directory()
    for number in range(7):
        await own_server.put(f"{directory}/{number}", made(pixels=300_000, seed=number))
    files = sorted(blob_files(own_server.data), key=lambda path: path.name)
    expected = []
    for place in (0, 3, 6):
        files[place].unlink()
        expected.append(("missing", UUID(hex=files[place].name), False))
    for _ in range(9):
        stranger = uuid4()
        _write(own_server, stranger)
        expected.append(("unknown file", stranger, False))
    monkeypatch.setattr(upkeep, "_PAGE", page)
    assert await fsck(own_server) == sorted(expected)


async def test_a_report_lists_so_many_findings_and_counts_the_others(
    own_server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    for _ in range(9):
        _write(own_server, uuid4())
    monkeypatch.setattr(upkeep, "LISTED", 4)
    answer = await own_server.call("POST", "/admin/v1/fsck", token=own_server.admin_token, json={})
    assert (len(answer.tree["findings"]), answer.tree["more"], answer.tree["blobs"]) == (4, 5, 9)
