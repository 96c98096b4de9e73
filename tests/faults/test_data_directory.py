"""What an installation needs and has lost is told at start, with the remedy; nothing is begun anew beside it."""

import shutil
from pathlib import Path

import pytest

from mdm_async import installed
from mdm_async.errors import UnsafeSettings
from mdm_async.postgres.database import connect
from mdm_async.settings import Settings
from tests.conftest import running_server
from tests.postgres.for_tests import PostgresForTests


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
