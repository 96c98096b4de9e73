"""What an installation needs and has lost is told at start, with the remedy; nothing is begun anew beside it."""

import shutil
from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path

import pytest

from mdm_async import installed
from mdm_async.errors import Unavailable, UnsafeSettings
from mdm_async.images.upkeep import claim
from mdm_async.postgres.database import connect
from mdm_async.postgres.directory_lock import DirectoryLock
from mdm_async.settings import Settings
from tests.conftest import running_server
from tests.faults.conditions import blob_files, until
from tests.postgres.for_tests import PostgresForTests
from tests.web.made_images import made

FILE = made(pixels=300_000)


@pytest.fixture
async def dsn(postgres: PostgresForTests, migrated: str) -> str:
    return await postgres.fresh_database(migrated)


async def started(data: Path, dsn: str) -> None:
    async with running_server(data, dsn):
        pass


async def refused(data: Path, dsn: str, *words: str) -> None:
    with pytest.raises(UnsafeSettings) as why:
        await started(data, dsn)
    for word in words:
        assert word in str(why.value)


async def test_a_key_that_is_missing_beside_its_database_is_not_made_anew(dsn: str, tmp_path: Path) -> None:
    data = tmp_path / "data"
    await started(data, dsn)
    kek = data / "secrets" / "kek"
    kept = kek.read_bytes()
    kek.unlink()
    await refused(data, dsn, str(kek), "restore")
    assert not kek.exists()
    kek.write_bytes(kept)
    kek.chmod(0o600)
    await started(data, dsn)
    shutil.rmtree(data / "secrets")
    await refused(data, dsn, str(data / "secrets"), "mount or restore")
    assert not (data / "secrets").exists()


async def test_an_empty_database_gets_no_catalog_where_there_was_one(
    dsn: str, postgres: PostgresForTests, tmp_path: Path
) -> None:
    data = tmp_path / "data"
    await started(data, dsn)
    empty = await postgres.fresh_database()
    await refused(data, empty, "holds no catalog", "database.dsn")
    async with connect(empty) as db:
        assert not await db.fetchval("select to_regclass('schema_migrations')")


async def test_another_installations_database_is_refused(
    dsn: str, postgres: PostgresForTests, tmp_path: Path
) -> None:
    await started(tmp_path / "one", dsn)
    other = await postgres.fresh_database()
    await started(tmp_path / "other", other)
    shutil.copy(tmp_path / "other/secrets/kek", tmp_path / "one/secrets/kek")
    await refused(tmp_path / "one", other, "another mdm installation's")
    (tmp_path / "one" / installed.NAME).write_text("something else")
    await refused(tmp_path / "one", other, "does not say whose")


@pytest.mark.parametrize("version", ["this", "one without id files of data directories"])
async def test_an_embedded_database_that_is_missing_is_not_made_anew(
    dsn: str, tmp_path: Path, version: str
) -> None:
    data = tmp_path / "data"
    await started(data, dsn)
    if version != "this":
        (data / installed.NAME).unlink()
    with pytest.raises(UnsafeSettings, match="postgres is not there"):
        installed.demand_there(Settings(data=data))
    installed.demand_there(Settings(data=tmp_path / "new"))


async def test_a_store_that_goes_or_is_exchanged_while_the_server_runs_is_noticed_and_nothing_is_written_there(
    dsn: str, postgres: PostgresForTests, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(claim, "_LOOK", 0.05)
    async with running_server(tmp_path / "other", await postgres.fresh_database()) as other:
        await other.put("/a.dcm", FILE)
        before = set(blob_files(other.data))
    async with running_server(tmp_path / "data", dsn) as server:
        await server.put("/a.dcm", FILE)
        url = (await server.prepare("/a.dcm"))["transferURL"]
        blobs, away = server.data / "blobs", server.data / "away"

        async def ready() -> tuple[int, str]:
            answer = await server.call("GET", "/health/ready")
            return answer.status, str(answer.tree.get("detail", ""))

        blobs.rename(away)
        for there, why in (
            (tmp_path / "empty", "the blob store is not there"),
            (tmp_path / "other" / "blobs", "another blob store lies where this server's was"),
        ):
            there.mkdir(exist_ok=True)
            there.rename(blobs)
            await until(partial(is_now, ready, (503, why)))
            for name in range(3):
                line = (await server.srm("prepareToPut", files=[{"surl": f"/{name}.dcm"}]))["files"][0]
                assert (await server.call("PUT", line["transferURL"], data=FILE)).status == 503
            assert (await server.call("GET", url)).status == 503, "nothing is told to be lost"
            blobs.rename(there)
        assert set(blob_files(tmp_path / "other")) == before
        assert not list((tmp_path / "empty").iterdir())
        away.rename(blobs)
        await until(partial(is_now, ready, (200, "")))
        assert (await server.call("GET", url)).status == 200
        await server.put("/b.dcm", FILE)


async def is_now(ready: Callable[[], Awaitable[tuple[int, str]]], expected: tuple[int, str]) -> bool:
    return await ready() == expected


def test_a_lock_whose_file_was_removed_still_holds(tmp_path: Path) -> None:
    with DirectoryLock(tmp_path) as first:
        first.path.unlink()
        with pytest.raises(Unavailable, match="was removed"):
            DirectoryLock(tmp_path).acquire()
    with DirectoryLock(tmp_path) as again:
        assert again.held
