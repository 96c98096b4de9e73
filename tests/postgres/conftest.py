"""A directory for an embedded server, and migrated databases."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from mdm_async.postgres.database import Database
from tests.patience import PATIENT_DATABASE
from tests.postgres.for_tests import PostgresForTests, in_memory, postgres_folder


@pytest.fixture
def directory() -> Iterator[Path]:
    with postgres_folder(in_memory()) as folder:
        yield folder / "mdm"


@pytest.fixture
async def database(postgres: PostgresForTests, migrated: str) -> AsyncIterator[Database]:
    """A migrated database of the test's own."""
    async with Database.connect(
        await postgres.fresh_database(migrated), pool_size=8, **PATIENT_DATABASE
    ) as opened:
        yield opened
