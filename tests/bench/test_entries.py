"""The catalogs that look-ups are measured in."""

import pytest

from bench import entries
from bench.scale import TINY
from mdm_async.postgres.database import Database, connect
from tests.postgres.for_tests import PostgresForTests, postgres_folder


@pytest.mark.parametrize("count", [100, 3000])
async def test_a_hospital_has_as_many_files_as_were_asked_for_and_all_are_readable(
    postgres: PostgresForTests, migrated: str, monkeypatch: pytest.MonkeyPatch, count: int
) -> None:
    dsn = await postgres.fresh_database(migrated)
    async with connect(dsn) as db:
        await entries.grow(db, count)
        assert await db.fetchval("select count(*) from entries where not is_directory") == count
    monkeypatch.setattr(entries, "ROUNDS", 1)
    async with Database.connect(dsn, pool_size=1) as database:
        measured = await entries.look(database, count)
    assert measured.single > 0


async def test_a_small_and_a_large_catalog_are_compared(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(entries, "ROUNDS", 1)
    monkeypatch.setattr(entries, "PASSES", 1)
    with postgres_folder() as folder:
        finding = await entries.measure(TINY, folder)
    assert len(finding.rows) == len(finding.targets) == 4
