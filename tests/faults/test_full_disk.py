"""No space, or a disk that fails: uploads are refused and leave nothing, and all else goes on."""

import errno
import os
import resource
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from tests.conftest import Server, running_server
from tests.faults.conditions import NOTHING, open_blobs, stored, until
from tests.faults.wire import begun
from tests.images.one_step import store
from tests.postgres.for_tests import PostgresForTests
from tests.web.made_images import made

MIB = 1 << 20
LARGE = made(pixels=6 * MIB, seed=6)


@contextmanager
def files_limited_to(size: int) -> Iterator[None]:
    """What this process writes to one file fails beyond so many bytes (EFBIG), as on a full disk."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


async def prepared(server: Server) -> str:
    tree = await server.srm("prepareToPut", files=[{"surl": f"{await server.directory()}/a.dcm"}])
    url: str = tree["files"][0]["transferURL"]
    return url


async def test_the_reserve_is_left_free(postgres: PostgresForTests, migrated: str, tmp_path: Path) -> None:
    dsn = await postgres.fresh_database(migrated)
    async with running_server(tmp_path / "data", dsn, blobs={"reserve_free": 1 << 60}) as server:
        tree = await server.srm("prepareToPut", expect=507, files=[{"surl": "/a.dcm"}, {"surl": "/b.dcm"}])
        assert {file["status"]["statusCode"] for file in tree["files"]} == {"SRM_NO_FREE_SPACE"}
        assert not any("transferURL" in file for file in tree["files"])


async def test_a_file_larger_than_what_is_free_is_refused_before_it_is_sent(server: Server) -> None:
    tree = await server.srm(
        "prepareToPut",
        expect=None,
        files=[{"surl": "/too-large.dcm", "expectedFileSize": 60 << 30}, {"surl": "/a.dcm"}],
    )
    free = await server.house.blobs.free()
    expected = "SRM_NO_FREE_SPACE" if free < 60 << 30 else "SRM_SPACE_AVAILABLE"
    assert [file["status"]["statusCode"] for file in tree["files"]] == [expected, "SRM_SPACE_AVAILABLE"]


@pytest.mark.parametrize("room", [100_000, 3 * MIB])
async def test_a_full_disk_refuses_the_upload_and_keeps_nothing_of_it(own_server: Server, room: int) -> None:
    url = await prepared(own_server)
    with files_limited_to(room):
        answer = await own_server.call("PUT", url, data=LARGE)
    assert answer.status == 507, answer.body
    assert "full" in answer.tree["detail"]
    assert answer.tree["remedy"]
    assert await stored(own_server) == NOTHING
    assert not open_blobs(own_server.data)
    assert (await own_server.call("PUT", url, data=LARGE)).status == 201


@pytest.mark.parametrize(("broken", "status"), [(errno.EIO, 503), (errno.ENOSPC, 507), (errno.EDQUOT, 507)])
@pytest.mark.parametrize("call", ["write", "fsync", "open"])
async def test_a_disk_that_fails_keeps_nothing(
    own_server: Server, monkeypatch: pytest.MonkeyPatch, broken: int, status: int, call: str
) -> None:
    url = await prepared(own_server)
    working = getattr(os, call)

    def failing(first: int | str | Path, *arguments: object) -> object:
        place = os.readlink(f"/proc/self/fd/{first}") if isinstance(first, int) else str(first)
        if place.startswith(str(own_server.data / "blobs") + "/"):
            raise OSError(broken, os.strerror(broken))
        return working(first, *arguments)

    with monkeypatch.context() as patch:
        patch.setattr(os, call, failing)
        answer = await own_server.call("PUT", url, data=LARGE)
    assert answer.status == status, answer.body
    assert await stored(own_server) == NOTHING
    assert not open_blobs(own_server.data)
    assert (await own_server.call("PUT", url, data=LARGE)).status == 201


async def test_what_an_upload_has_announced_is_nobody_elses_as_long_as_it_comes(
    own_server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = await prepared(own_server), await prepared(own_server)
    disk = SimpleNamespace(f_bavail=10 * MIB, f_blocks=20 * MIB, f_frsize=1)
    monkeypatch.setattr(os, "statvfs", lambda _: disk)
    left = own_server.house.blobs.reserve.left
    async with begun("PUT", first, Content_Length=str(8 * MIB)) as client:
        await client.send(LARGE[:1000])
        await until(lambda: left() == 2 * MIB)
        refused = await own_server.call("PUT", second, data=LARGE)
        assert refused.status == 507, refused.body
    await until(lambda: left() == 10 * MIB)
    assert (await own_server.call("PUT", second, data=LARGE)).status == 201


async def _chunks(data: bytes) -> AsyncIterator[bytes]:
    yield data


async def test_what_one_caller_has_announced_leaves_room_for_the_next(
    own_server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By prepareToPut, of a known length and of none, and in one step; half of what is free, and no more."""
    folder = await own_server.directory()
    greedy, honest = await own_server.token("rw", folder), await own_server.token("rw", folder)

    async def ask(token: str, name: str, size: int | None) -> dict[str, Any]:
        file = {"surl": f"{folder}/{name}"} | ({} if size is None else {"expectedFileSize": size})
        tree = await own_server.srm("prepareToPut", token=token, expect=None, files=[file])
        line: dict[str, Any] = tree["files"][0]
        return line

    disk = SimpleNamespace(f_bavail=20 * MIB, f_blocks=40 * MIB, f_frsize=1)
    monkeypatch.setattr(os, "statvfs", lambda _: disk)
    greed = (await ask(greedy, "greedy.dcm", None))["transferURL"]
    async with begun("PUT", greed, Content_Length=str(20 * MIB)) as client:
        await client.send(LARGE[:1000])
        await until(lambda: own_server.house.blobs.reserve.left() == 0)
        assert (await ask(greedy, "more.dcm", None))["status"]["statusCode"] == "SRM_NO_FREE_SPACE"
        assert (await ask(honest, "large.dcm", 11 * MIB))["status"]["statusCode"] == "SRM_NO_FREE_SPACE"
        known = (await ask(honest, "known.dcm", len(LARGE)))["transferURL"]
        assert (await own_server.call("PUT", known, data=LARGE)).status == 201
        unknown = (await ask(honest, "unknown.dcm", None))["transferURL"]
        assert (await own_server.call("PUT", unknown, data=_chunks(LARGE))).status == 201
        at_once = await store(own_server, f"{folder}/at-once.dcm", LARGE, honest, size=len(LARGE))
        assert at_once.size == len(LARGE)
