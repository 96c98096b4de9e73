"""A device that reads nothing of what it is told leaves nothing behind."""

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path

import psutil
import pytest

from mdm_async.pacs.dimse import wire
from mdm_async.pacs.dimse.pdus import AbortReason
from mdm_async.pacs.dimse.wire import Wire
from tests.faults.conditions import until
from tests.pacs.devices import Pacs, echo_command, p_data, pacs_server, request
from tests.pacs.test_bad_input import open_now, serves_who_is_quick
from tests.postgres.for_tests import PostgresForTests

ECHO = p_data(1, 3, echo_command())


@pytest.fixture
async def impatient(postgres: PostgresForTests, migrated: str, tmp_path: Path) -> AsyncIterator[Pacs]:
    dsn = await postgres.fresh_database(migrated)
    async with pacs_server(tmp_path / "data", dsn, pacs={"idle_seconds": 2}) as pacs:
        yield pacs


async def deaf(pacs: Pacs) -> socket.socket:
    """An association that asks and asks, and reads no answer: until the server takes nothing more of it."""
    loop, device = asyncio.get_running_loop(), socket.socket()
    device.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    device.setblocking(False)
    await loop.sock_connect(device, ("127.0.0.1", pacs.port))
    await loop.sock_sendall(device, request())
    await until(lambda: open_now(pacs) == 1)
    try:
        while True:
            async with asyncio.timeout(0.2):
                await loop.sock_sendall(device, ECHO * 1000)
    except (TimeoutError, OSError):
        return device


def kept(pacs: Pacs) -> list[str]:
    """Connections that the server's side of this process has."""
    found = psutil.Process().net_connections("tcp")
    return [one.status for one in found if one.laddr.port == pacs.port and one.status != psutil.CONN_LISTEN]


async def test_who_reads_nothing_is_cut(impatient: Pacs) -> None:
    device = await deaf(impatient)
    await until(lambda: not open_now(impatient))
    await until(lambda: not kept(impatient))
    device.close()
    await serves_who_is_quick(impatient)


async def test_an_abort_that_is_not_read_ends_the_connection_all_the_same(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(wire, "_LINGER", 0.05)
    came: asyncio.Queue[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = asyncio.Queue()
    server = await asyncio.start_server(lambda *streams: came.put_nowait(streams), "127.0.0.1", 0)
    with socket.create_connection(server.sockets[0].getsockname()):
        reader, writer = await came.get()
        writer.write(bytes(32 << 20))
        Wire(reader, writer, idle=60, pace=60, slowest=0).abort(AbortReason.NOT_SPECIFIED)
        async with asyncio.timeout(30):
            with suppress(ConnectionError):
                await writer.wait_closed()
    server.close()
    await server.wait_closed()
