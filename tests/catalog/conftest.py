"""A migrated database of the test's own."""

from collections.abc import AsyncIterator

import pytest

from mdm_async.postgres.database import Connection, Database
from tests.postgres.for_tests import PostgresForTests


@pytest.fixture
async def database(postgres: PostgresForTests, migrated: str) -> AsyncIterator[Database]:
    async with Database.connect(await postgres.fresh_database(migrated), pool_size=8) as opened:
        yield opened


@pytest.fixture
async def db(database: Database) -> AsyncIterator[Connection]:
    async with database.acquire() as connection:
        yield connection
