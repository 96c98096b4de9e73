"""Metrics are made once for all who ask at the same time, and are never older than the question."""

import asyncio

import pytest

from mdm_async.web.http import exposition
from tests.conftest import Server


async def test_a_flood_of_scrapes_makes_few_texts(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[bytes] = []
    make = exposition.generate_latest

    def counted() -> bytes:
        made.append(make())
        return made[-1]

    monkeypatch.setattr(exposition, "generate_latest", counted)
    found = await asyncio.gather(*(server.house.exposition.latest() for _ in range(200)))
    assert len(made) <= 3
    assert set(found) <= set(made)


async def test_a_scrape_tells_what_was_counted_before_it(server: Server) -> None:
    for _ in range(3):
        before = _requests((await server.call("GET", "/metrics")).body)
        await server.call("GET", "/health/live")
        assert _requests((await server.call("GET", "/metrics")).body) > before


def _requests(text: bytes) -> float:
    lines = text.decode().splitlines()
    return sum(float(line.rsplit(" ", 1)[1]) for line in lines if line.startswith("mdm_requests_total"))
