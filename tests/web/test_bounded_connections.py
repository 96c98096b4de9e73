"""Connections are bounded in all and per source, and whoever shows no request gives way."""

import asyncio
import resource
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from mdm_async.descriptors import Descriptors
from mdm_async.errors import UnsafeSettings
from mdm_async.settings import Settings
from mdm_async.web.listening import connections_for
from tests.conftest import Server, running_server
from tests.faults.conditions import until
from tests.patience import PATIENCE
from tests.postgres.for_tests import PostgresForTests

_ASK = b"GET /health/live HTTP/1.1\r\nHost: localhost\r\n\r\n"
_HALF = b"POST /srm/v2/ls HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100\r\n\r\n{"
Line = tuple[asyncio.StreamReader, asyncio.StreamWriter]


@pytest.fixture
async def server(
    postgres: PostgresForTests, migrated: str, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Server]:
    dsn = await postgres.fresh_database(migrated)
    data = tmp_path_factory.mktemp("bounded") / "data"
    sections = {
        "limits": {"connections": 16},
        "server": {"trusted_proxies": ("127.0.0.9",), "public_url": "https://localhost"},
    }
    async with running_server(data, dsn, **sections) as running:
        yield running


async def connect(server: Server, source: str) -> Line:
    return await asyncio.open_connection("127.0.0.1", server.house.port, local_addr=(source, 0))


async def answer(line: Line) -> bytes:
    """The answer's first line; nothing when the connection has ended."""
    line[1].write(_ASK)
    try:
        async with asyncio.timeout(PATIENCE):
            return await line[0].readline()
    except ConnectionError:
        return b""


async def close(*lines: Line) -> None:
    for _, writer in lines:
        writer.transport.abort()
    await asyncio.sleep(0)


def used(server: Server) -> int:
    return next(n.used for ask in server.house.near for n in ask() if n.setting == "limits.connections")


async def test_of_one_source_the_oldest_that_shows_no_request_gives_way(server: Server) -> None:
    lines = [await connect(server, "127.0.0.2") for _ in range(12)]
    last = await connect(server, "127.0.0.2")
    assert b"200" in await answer(last)
    assert used(server) <= 9  # half of all, and the administrator's own
    async with asyncio.timeout(PATIENCE):
        assert await lines[0][0].read() == b""
    await close(*lines, last)


async def test_idle_ones_give_way_after_half_open_ones(server: Server) -> None:
    idle = await connect(server, "127.0.0.2")
    assert b"200" in await answer(idle)
    opened = [await connect(server, "127.0.0.2") for _ in range(7)]
    await until(lambda: used(server) >= 8)
    another = await connect(server, "127.0.0.2")
    assert b"200" in await answer(another)
    async with asyncio.timeout(PATIENCE):
        await idle[0].readuntil(b'"live"}')
    assert b"200" in await answer(idle)
    await close(idle, another, *opened)


async def test_a_source_whose_connections_are_all_busy_has_its_share_and_others_theirs(
    server: Server,
) -> None:
    busy = [await connect(server, "127.0.0.2") for _ in range(8)]
    for _, writer in busy:
        writer.write(_HALF)
    held = [await connect(server, "127.0.0.3")]
    assert b"200" in await answer(held[0])
    refused = await connect(server, "127.0.0.2")
    assert (await answer(refused))[:12] in (b"HTTP/1.1 429", b"")
    for number in range(3):
        held.append(await connect(server, f"127.0.0.{number + 4}"))
        assert b"200" in await answer(held[-1])
    await close(*busy, *held, refused)


async def test_who_comes_through_a_trusted_proxy_has_no_share_of_one_source(server: Server) -> None:
    lines = [await connect(server, "127.0.0.9") for _ in range(13)]
    for line in lines:
        assert b"200" in await answer(line)
    lines.append(await connect(server, "127.0.0.2"))
    assert b"200" in await answer(lines[-1])
    await close(*lines)


async def test_the_socket_is_open_when_the_ports_are_full(server: Server) -> None:
    lines = []
    for source in range(2, 10):
        for _ in range(8):
            lines.append(await connect(server, f"127.0.0.{source}"))
            lines[-1][1].write(_HALF)
    local = await asyncio.open_unix_connection(server.data / "admin.sock")
    assert b"200" in await answer(local)
    await close(*lines, local)


@pytest.mark.parametrize(
    ("soft", "hard", "connections"),
    [(256, 20_000, 4096), (1024, 1024, 246), (8_000, 8_000, 4096), (100, 100, 1), (5_000, 5_000, 2666)],
)
def test_descriptors_are_raised_as_far_as_they_may(
    monkeypatch: pytest.MonkeyPatch, soft: int, hard: int, connections: int
) -> None:
    given = []
    monkeypatch.setattr(resource, "getrlimit", lambda _: (soft, hard))
    monkeypatch.setattr(resource, "setrlimit", lambda _, limits: given.append(limits))
    found = Descriptors.raised(4096, transfers=1024, database=30)
    assert found.connections == connections
    needed = 4096 + 2 * 1024 + 30 + 256
    assert given == ([(min(needed, hard), hard)] if soft < min(needed, hard) else [])


def test_a_server_that_could_let_nobody_in_does_not_start(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(resource, "getrlimit", lambda _: (256, 256))
    with pytest.raises(UnsafeSettings, match="limit of open files is 256"):
        connections_for(Settings(data=tmp_path))
