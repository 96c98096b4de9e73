"""At start the blob store is compared with the catalog: no node works on blobs that are not its own."""

import shutil
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from mdm_async.blobs import id_file
from mdm_async.errors import UnsafeSettings
from tests.conftest import Server, running_server
from tests.postgres.for_tests import PostgresForTests
from tests.web.made_images import made

FILE = made(pixels=300_000)
SHARED = {"blobs": {"shared": True}}


@pytest.fixture
async def dsn(postgres: PostgresForTests, migrated: str) -> str:
    return await postgres.fresh_database(migrated)


async def stored(data: Path, dsn: str) -> None:
    """A server has run, and one file has a blob."""
    async with running_server(data, dsn) as server:
        await server.put("/a.dcm", FILE)


async def starts(data: Path, dsn: str) -> None:
    """It does, and gives the file."""
    async with running_server(data, dsn) as server:
        assert len(await server.read("/a.dcm")) > 300_000


async def is_refused(data: Path, dsn: str, why: str, remedy: str, **sections: dict[str, object]) -> None:
    with pytest.raises(UnsafeSettings, match=why) as refused:
        async with running_server(data, dsn, **sections):
            pass
    assert remedy in refused.value.remedy


def beside(first: Path, second: Path) -> Path:
    """The data directory of a second node: the secrets of the first, and no blobs yet."""
    second.mkdir(mode=0o700)
    shutil.copytree(first / "secrets", second / "secrets")
    return second


async def test_a_restart_finds_its_store(dsn: str, tmp_path: Path) -> None:
    await stored(tmp_path / "data", dsn)
    await starts(tmp_path / "data", dsn)
    assert (tmp_path / "data/blobs" / id_file.NAME).stat().st_mode & 0o777 == 0o600


async def test_what_a_version_without_id_files_stored_is_adopted_once(dsn: str, tmp_path: Path) -> None:
    data = tmp_path / "data"
    async with running_server(data, dsn) as server:
        await server.put("/a.dcm", FILE)
        await forget_the_store(server)
    await starts(data, dsn)
    (data / "blobs" / id_file.NAME).unlink()
    await is_refused(data, dsn, "no id file", "mount that store")


async def forget_the_store(server: Server) -> None:
    """As a version without id files leaves it."""
    async with server.house.database.acquire() as db:
        await db.execute("update installation set blob_store = null")
    (server.data / "blobs" / id_file.NAME).unlink()


async def test_only_a_directory_with_known_blobs_is_adopted(dsn: str, tmp_path: Path) -> None:
    data = tmp_path / "data"
    async with running_server(data, dsn) as server:
        await server.put("/a.dcm", FILE)
        await forget_the_store(server)
    (data / "blobs").rename(tmp_path / "away")
    await is_refused(data, dsn, "none of the blobs", "mount the directory")
    shutil.rmtree(data / "blobs")
    (tmp_path / "away").rename(data / "blobs")
    await starts(data, dsn)


async def test_a_new_database_takes_no_directory_with_blobs_of_a_version_without_id_files(
    dsn: str, postgres: PostgresForTests, migrated: str, tmp_path: Path
) -> None:
    data = tmp_path / "data"
    async with running_server(data, dsn) as server:
        await server.put("/a.dcm", FILE)
        await forget_the_store(server)
    await is_refused(data, await postgres.fresh_database(migrated), "none of the blobs", "the database")


async def test_a_start_that_died_before_it_committed_is_gone_on_with(dsn: str, tmp_path: Path) -> None:
    data = tmp_path / "data"
    async with running_server(data, dsn) as server:
        await server.put("/a.dcm", FILE)
        async with server.house.database.acquire() as db:
            await db.execute("update installation set blob_store = null")
    await starts(data, dsn)


async def test_blobs_of_another_installation_are_refused(
    dsn: str, postgres: PostgresForTests, tmp_path: Path
) -> None:
    await stored(tmp_path / "one", dsn)
    await stored(tmp_path / "other", await postgres.fresh_database())
    shutil.rmtree(tmp_path / "one/blobs")
    shutil.copytree(tmp_path / "other/blobs", tmp_path / "one/blobs")
    await is_refused(tmp_path / "one", dsn, "another mdm installation", "a data directory of its own")


async def test_an_id_file_that_cannot_be_read_is_refused(dsn: str, tmp_path: Path) -> None:
    await stored(tmp_path / "data", dsn)
    (tmp_path / "data/blobs" / id_file.NAME).write_text("something else\n")
    await is_refused(tmp_path / "data", dsn, "does not say whose", "restore")


async def test_a_lost_store_is_begun_anew_by_the_line_that_the_error_tells(dsn: str, tmp_path: Path) -> None:
    data = tmp_path / "data"
    await stored(data, dsn)
    shutil.rmtree(data / "blobs")
    with pytest.raises(UnsafeSettings) as refused:
        async with running_server(data, dsn):
            pass
    (data / "blobs" / id_file.NAME).write_text(refused.value.remedy.rpartition("that says: ")[2] + "\n")
    async with running_server(data, dsn) as server:
        await server.put("/b.dcm", FILE)
        assert len(await server.read("/b.dcm")) > 300_000


async def test_a_second_node_with_a_directory_of_its_own_is_refused(dsn: str, tmp_path: Path) -> None:
    async with running_server(tmp_path / "one", dsn, **SHARED):
        two = beside(tmp_path / "one", tmp_path / "two")
        await is_refused(two, dsn, "no id file", "shares the directory of the first", **SHARED)


@pytest.mark.parametrize("shared", [(False, False), (True, False), (False, True)])
async def test_a_second_node_in_the_same_directory_is_refused_unless_both_share(
    dsn: str, tmp_path: Path, shared: tuple[bool, bool]
) -> None:
    async with running_server(tmp_path / "one", dsn, blobs={"shared": shared[0]}):
        two = beside(tmp_path / "one", tmp_path / "two")
        (two / "blobs").symlink_to(tmp_path / "one/blobs")
        await is_refused(two, dsn, "another node uses", "blobs.shared = true", blobs={"shared": shared[1]})


async def test_nodes_that_share_a_directory_serve_each_others_files(dsn: str, tmp_path: Path) -> None:
    async with AsyncExitStack() as stack:
        one = await stack.enter_async_context(running_server(tmp_path / "one", dsn, **SHARED))
        (beside(tmp_path / "one", tmp_path / "two") / "blobs").symlink_to(tmp_path / "one/blobs")
        two = await stack.enter_async_context(running_server(tmp_path / "two", dsn, **SHARED))
        await one.put("/a.dcm", FILE)
        assert await two.read("/a.dcm") == await one.read("/a.dcm")
