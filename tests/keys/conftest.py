"""A database for key stores."""

from collections.abc import AsyncIterator

import pytest

from mdm_async.postgres.database import Database
from tests.postgres.for_tests import PostgresForTests


@pytest.fixture
async def database(postgres: PostgresForTests, migrated: str) -> AsyncIterator[Database]:
    async with Database.connect(await postgres.fresh_database(migrated), pool_size=4) as opened:
        yield opened
