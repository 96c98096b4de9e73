"""A server and trees of their own for tests that change ACLs."""

from collections.abc import AsyncIterator

import pytest

from tests.conftest import Server, running_server
from tests.postgres.for_tests import PostgresForTests
from tests.web.made_images import made
from tests.web.permissions.tree import Tree, through_the_root


@pytest.fixture(scope="module")
async def server(
    postgres: PostgresForTests, migrated: str, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Server]:
    """One whose root lets everybody through."""
    dsn = await postgres.fresh_database(migrated)
    async with running_server(tmp_path_factory.mktemp("server") / "data", dsn) as running:
        await through_the_root(running)
        yield running


@pytest.fixture
async def tree(server: Server) -> Tree:
    found = Tree(server, await server.directory())
    await found.set(found.path, "SET")
    await server.put(found.file, made())
    await server.srm("mkdir", surl=found.below)
    await server.put(found.deep, made(seed=1))
    return found
