"""A directory of a test's own, as WebDAV shows it."""

import pytest

from tests.conftest import Server
from tests.web.dav.face import Dav


@pytest.fixture
async def dav(server: Server) -> Dav:
    return Dav(server, await server.directory(), server.admin_token)
