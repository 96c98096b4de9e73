"""Servers under siege: each a process of its own, so that its stalls are not the attacker's."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.postgres.for_tests import PostgresForTests
from tests.siege.besieged import Besieged, besieged


@pytest.fixture(scope="session")
async def castle(
    postgres: PostgresForTests, migrated: str, tmp_path_factory: pytest.TempPathFactory, ct: bytes
) -> AsyncIterator[Besieged]:
    """One for all attacks that it must shrug off with the settings that a server has by itself."""
    dsn = await postgres.fresh_database(migrated)
    async with besieged(tmp_path_factory.mktemp("siege") / "data", dsn, ct) as server:
        yield server


@pytest.fixture
async def own_castle(
    postgres: PostgresForTests, migrated: str, tmp_path: Path, ct: bytes, request: pytest.FixtureRequest
) -> AsyncIterator[Besieged]:
    """One for this test, with the settings of its `settings` mark: `@pytest.mark.settings(limits__held="1000000")`."""
    mark = request.node.get_closest_marker("settings")
    dsn = await postgres.fresh_database(migrated)
    async with besieged(tmp_path / "data", dsn, ct, **(mark.kwargs if mark else {})) as server:
        yield server
