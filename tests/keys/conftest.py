"""Databases for key stores."""

from collections.abc import AsyncIterator, Sequence

import pytest

from mdm_async.keys.split import StorePlace
from mdm_async.postgres.database import Database
from tests.keys.stores import places
from tests.patience import PATIENT_DATABASE
from tests.postgres.for_tests import PostgresForTests


@pytest.fixture
async def database(postgres: PostgresForTests, migrated: str) -> AsyncIterator[Database]:
    async with Database.connect(
        await postgres.fresh_database(migrated), pool_size=4, **PATIENT_DATABASE
    ) as opened:
        yield opened


@pytest.fixture
async def dsns(postgres: PostgresForTests) -> list[str]:
    """Of the stores that share secrets."""
    return [await postgres.fresh_database() for _ in range(3)]


@pytest.fixture
def stores(dsns: Sequence[str]) -> list[StorePlace]:
    return places(dsns)
