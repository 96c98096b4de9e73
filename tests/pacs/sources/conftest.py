"""An archive of the test's own, and a server that has it among its sources."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import Server, running_server
from tests.pacs.sources.fake_archive import FakeArchive, fake_archive
from tests.postgres.for_tests import PostgresForTests

DIRECTORY = "/pacs"


@pytest.fixture
async def archive() -> AsyncIterator[FakeArchive]:
    async with fake_archive() as running:
        yield running


@pytest.fixture
async def staging(
    archive: FakeArchive, postgres: PostgresForTests, migrated: str, tmp_path: Path
) -> AsyncIterator[Server]:
    """A server with the archive among its sources."""
    sections: dict[str, Any] = {
        "pacs": {"sources": [{"name": "hospital", "dicomweb": archive.url}]},
        "delivery": {"identified": "clear"},
    }
    dsn = await postgres.fresh_database(migrated)
    async with running_server(tmp_path / "data", dsn, **sections) as server:
        server.house.archives.named("hospital").source.patience = 12.0
        await server.srm("mkdir", surl=DIRECTORY)
        yield server
