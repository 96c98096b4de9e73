"""Trails in databases of their own."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.auditing.database import Sealed, sealed_trail
from tests.postgres.for_tests import PostgresForTests


@pytest.fixture
async def sealed(postgres: PostgresForTests, migrated: str, tmp_path: Path) -> AsyncIterator[Sealed]:
    async with sealed_trail(await postgres.fresh_database(migrated), tmp_path) as made:
        yield made
