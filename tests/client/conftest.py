"""A small server that keeps the wire contract and breaks it on demand, and a client of it."""

import os
from collections.abc import AsyncIterator

import pytest

from mdm_async.client import Client
from tests.client.fake_server import TOKEN, FakeServer, fake_server


@pytest.fixture
async def fake() -> AsyncIterator[FakeServer]:
    async with fake_server() as fake:
        yield fake


@pytest.fixture
async def client(fake: FakeServer, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Client]:
    """A client of the fake server that does not wait long between attempts."""
    monkeypatch.setattr("mdm_async.client.patience.FIRST", 0.001)
    monkeypatch.setattr("mdm_async.client.patience.LONGEST", 0.01)
    async with Client(fake.url, TOKEN) as client:
        yield client


@pytest.fixture(scope="session")
def image() -> bytes:
    """A few segments in each part, and a short rest."""
    return os.urandom(3 * 1024 * 1024 + 12345)
