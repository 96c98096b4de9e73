"""A server that devices push images to."""

from collections.abc import AsyncIterator, Iterator

import pytest

from tests.pacs.devices import Pacs, pacs_server
from tests.postgres.for_tests import PostgresForTests


@pytest.fixture(scope="session")
async def _running(
    postgres: PostgresForTests, migrated: str, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Pacs]:
    """One for all tests that leave it as it was: each pushes images of its own."""
    dsn = await postgres.fresh_database(migrated)
    async with pacs_server(tmp_path_factory.mktemp("pacs") / "data", dsn) as running:
        yield running


@pytest.fixture
def pacs(_running: Pacs) -> Iterator[Pacs]:
    yield _running
    _running.close()
