"""One server with TLS, a grid of its own, and the tools of its users."""

from collections.abc import AsyncIterator

import pytest

from tests.interop.grid_tools import GridTools
from tests.interop.rig import new_place, rig
from tests.orthanc import Orthanc, running_orthanc
from tests.postgres.for_tests import PostgresForTests


@pytest.fixture(scope="session")
async def grid_tools(
    postgres: PostgresForTests, migrated: str, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[GridTools]:
    """As `rig` says."""
    async with rig(tmp_path_factory.mktemp("interop"), await postgres.fresh_database(migrated)) as tools:
        yield tools


@pytest.fixture
async def place(grid_tools: GridTools) -> str:
    """A directory of one test's own, below the user's."""
    return await new_place(grid_tools)


@pytest.fixture(scope="session")
async def orthanc(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Orthanc]:
    async with running_orthanc(tmp_path_factory.mktemp("orthanc")) as running:
        yield running
