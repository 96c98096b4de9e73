"""Every wait for a client ends, by whichever way it came."""

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import pytest
import trustme

from mdm_async.web.http import httpg
from mdm_async.web.http.connections import CUT
from tests.conftest import Server
from tests.faults.conditions import nothing_is_stored, until
from tests.faults.transfers import uploads
from tests.patience import PATIENCE
from tests.postgres.for_tests import PostgresForTests
from tests.web.hasty import HastyServer, hasty_server, keeping_the_pace

pytestmark = pytest.mark.parametrize("way", ["plain", "tls", "socket"])

_LIMITS = {"head_seconds": 0.3, "idle_seconds": 0.3, "pace_seconds": 0.3}
Line = tuple[asyncio.StreamReader, asyncio.StreamWriter]


@pytest.fixture(scope="module")
async def server(
    postgres: PostgresForTests, migrated: str, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[HastyServer]:
    folder = tmp_path_factory.mktemp("waits")
    host = folder / "host.pem"
    issued = trustme.CA().issue_cert("localhost", "127.0.0.1")
    issued.private_key_and_cert_chain_pem.write_to_path(host)
    host.chmod(0o600)
    dsn = await postgres.fresh_database(migrated)
    async with hasty_server(folder / "data", dsn, server={"tls_cert": host, "tls_key": host}) as running:
        yield running


@asynccontextmanager
async def connected(server: HastyServer, way: str, **limits: float) -> AsyncIterator[Line]:
    """To one that waits for nobody but for `limits`."""
    with server.hasty(**(_LIMITS | limits)):
        line = await _line(server, way)
        try:
            yield line
        finally:
            line[1].transport.abort()


async def _line(server: Server, way: str) -> Line:
    if way == "socket":
        return await asyncio.open_unix_connection(server.data / "admin.sock")
    if way == "plain":
        return await asyncio.open_connection("127.0.0.1", server.house.port)
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return await _shaken(server, context)


async def _shaken(server: Server, context: ssl.SSLContext) -> Line:
    """A machine that is busy may take longer for a handshake than this server gives: then once more."""
    for _ in range(4):
        with suppress(ConnectionError):
            return await asyncio.open_connection("127.0.0.1", server.house.tls_port, ssl=context)
    return await asyncio.open_connection("127.0.0.1", server.house.tls_port, ssl=context)


async def cut(line: Line) -> bytes:
    """What still comes until the server cuts the connection."""
    found = b""
    async with asyncio.timeout(PATIENCE):
        with suppress(ConnectionError):
            while some := await line[0].read(1 << 16):
                found += some
    return found


async def upload(server: Server, size: int) -> bytes:
    """The head of a PUT."""
    surl = f"{await server.directory()}/a.dcm"
    prepared = await server.srm("prepareToPut", files=[{"surl": surl}])
    path = prepared["files"][0]["transferURL"].removeprefix(server.url)
    return f"PUT {path} HTTP/1.1\r\nHost: localhost\r\nContent-Length: {size}\r\n\r\n".encode()


@pytest.mark.parametrize("begun", [b"", b"GET /health/live HTTP/1.1\r\nHost: localh"])
async def test_who_shows_no_whole_head_is_cut(server: HastyServer, way: str, begun: bytes) -> None:
    async with connected(server, way) as line:
        line[1].write(begun)
        assert await cut(line) == b""


async def test_who_stops_before_http_begins_is_cut(
    server: HastyServer, way: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Elsewhere than over TLS there is nothing before it."""
    monkeypatch.setattr(httpg, "_ALONE", 0.01)
    for begun, rest in (
        ((b"0", b""), (b"0GET /he", b""), (b"D", b""), (b"D", b"\x30\x82\x01")) if way == "tls" else ()
    ):
        async with connected(server, way) as line:
            line[1].write(begun)
            if rest:
                async with asyncio.timeout(PATIENCE):
                    assert await line[0].read(1) == b"\x30"
                line[1].write(rest)
            assert (await cut(line)).find(b"HTTP") == -1


async def test_a_head_that_comes_byte_by_byte_has_no_more_time(server: HastyServer, way: str) -> None:
    async with connected(server, way) as line:

        async def dribble() -> None:
            line[1].write(b"GET /health/live HTTP/1.1\r\nX: ")
            while True:
                line[1].write(b"x")
                await asyncio.sleep(0.05)

        dribbling = asyncio.create_task(dribble())
        assert await cut(line) == b""
        dribbling.cancel()


async def test_who_asks_for_nothing_more_is_cut(server: HastyServer, way: str) -> None:
    async with connected(server, way) as line:
        line[1].write(b"GET /health/live HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert (await cut(line)).startswith(b"HTTP/1.1 200")


async def test_a_second_head_that_does_not_end_is_cut(server: HastyServer, way: str) -> None:
    async with connected(server, way) as line:
        line[1].write(b"GET /health/live HTTP/1.1\r\nHost: localhost\r\n\r\nGET / HTTP/1.1\r\n")
        assert (await cut(line)).count(b"HTTP/1.1") == 1


async def test_a_request_body_that_does_not_come_on_is_cut(server: HastyServer, way: str) -> None:
    async with connected(server, way) as line:
        head = (
            f"POST /srm/v2/ls HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {server.admin_token}\r\n"
        )
        line[1].write(head.encode() + b"Content-Length: 100\r\n\r\n{")
        assert await cut(line) == b""


async def test_a_stalled_upload_is_cut_and_leaves_nothing(server: HastyServer, way: str, ct: bytes) -> None:
    head = await upload(server, len(ct))
    async with connected(server, way) as line:
        line[1].write(head + ct[:-100])
        assert await cut(line) == b""
        await until(lambda: uploads() == 0)
        await until(lambda: nothing_is_stored(server))


async def test_an_upload_that_keeps_the_pace_is_taken(server: HastyServer, way: str, ct: bytes) -> None:
    """Over several periods, at ten times the slowest pace."""
    assert await keeping_the_pace(lambda: _is_taken(server, way, ct))
    async with server.house.database.acquire() as db:
        await db.execute("delete from grants")


async def _is_taken(server: HastyServer, way: str, data: bytes) -> bool:
    head = await upload(server, len(data))
    async with connected(server, way, pace_seconds=0.5) as line:
        line[1].write(head)
        for start in range(0, len(data), 2000):
            line[1].write(data[start : start + 2000])
            await asyncio.sleep(0.08)  # the slowness
        async with asyncio.timeout(PATIENCE):
            return b" 201 " in await line[0].readline()


async def test_answers_that_nobody_takes_end(server: HastyServer, way: str) -> None:
    before = CUT.labels("pace")._value.get()
    async with connected(server, way) as line:
        line[1].transport.pause_reading()
        line[1].write(b"GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n" * 2_000)
        await until(lambda: CUT.labels("pace")._value.get() > before)


async def test_a_client_that_never_shakes_hands_is_cut(server: HastyServer, way: str, tmp_path: Path) -> None:
    port = server.house.tls_port if way == "tls" else server.house.port
    with server.hasty(**_LIMITS):
        line = await asyncio.open_connection("127.0.0.1", port)
        assert await cut(line) == b""
    line[1].close()
