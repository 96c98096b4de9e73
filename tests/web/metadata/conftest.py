"""Metadata as its routes tell it."""

from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from tests.conftest import Reply, Server

Meta = Callable[..., Awaitable[Reply]]


@pytest.fixture
def meta(server: Server) -> Meta:
    """A verb of /meta/v1, by the administrator unless a token is shown."""

    async def call(verb: str, token: str | None = None, **body: Any) -> Reply:
        shown = token or server.admin_token
        return await server.call("POST", f"/meta/v1/{verb}", token=shown, json=body)

    return call


@pytest.fixture
async def folder(server: Server) -> str:
    return await server.directory()
