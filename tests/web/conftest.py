"""A tree that all tests of a module share."""

import pytest

from tests.conftest import Server
from tests.web.grown_tree import Tree, grown


@pytest.fixture(scope="module")
async def tree(server: Server) -> Tree:
    """For tests that leave it as it was."""
    return await grown(server)
