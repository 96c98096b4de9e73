"""Servers for tests that break things."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
import structlog.testing
from structlog.typing import EventDict

from tests.conftest import Server, running_server
from tests.faults.transfers import File, stored_file
from tests.postgres.for_tests import PostgresForTests


@pytest.fixture
async def clear_server(postgres: PostgresForTests, migrated: str, tmp_path: Path) -> AsyncIterator[Server]:
    """A server of the test's own that delivers even the identified view in the clear, so that it can be compared."""
    dsn = await postgres.fresh_database(migrated)
    async with running_server(tmp_path / "data", dsn, delivery={"identified": "clear"}) as server:
        yield server


@pytest.fixture(scope="session")
async def large_file(server: Server) -> File:
    """A file on the session's server, too large for the buffers between it and a reader that does not read."""
    return await stored_file(server)


@pytest.fixture
def quiet(caplog: pytest.LogCaptureFixture) -> Iterator[list[EventDict]]:
    """The server's log of this test, in which there must be nothing above debug; nor in its libraries'."""
    with structlog.testing.capture_logs() as events:
        yield events
    assert [event for event in events if event["log_level"] != "debug"] == []
    assert [
        record.getMessage() for record in caplog.records if record.levelname not in ("DEBUG", "INFO")
    ] == []
