"""A directory and a file of the test's own."""

import pytest

from tests.conftest import Server
from tests.web.made_images import made


@pytest.fixture
async def directory(server: Server) -> str:
    return await server.directory()


@pytest.fixture
async def file(server: Server, directory: str) -> str:
    surl = f"{directory}/a.dcm"
    await server.put(surl, made())
    return surl
