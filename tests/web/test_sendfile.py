"""What sendfile sends comes after all that was written before it, however slowly the reader takes that."""

import asyncio
import socket
import threading
from pathlib import Path
from types import SimpleNamespace

import pytest

from mdm_async.blobs.store import FileRange
from mdm_async.web.http import sendfile
from tests.conftest import Server
from tests.faults.conditions import until
from tests.faults.transfers import LARGE, stored_file
from tests.faults.wire import begun
from tests.web.made_images import made
from tests.web.sealed_lines import RECIPIENT

WRITTEN, SENT = b"w" * (64 << 20), b"s" * (4 << 20)


async def test_a_file_waits_for_what_was_written(tmp_path: Path) -> None:
    """Though the socket has room again, before the transport has noticed."""
    (tmp_path / "file").write_bytes(SENT)
    some = threading.Event()

    def read(address: tuple[str, int]) -> bytes:
        received = bytearray()
        with socket.create_connection(address) as connection:
            while chunk := connection.recv(1 << 20):
                received += chunk
                if len(received) > 2 << 20:
                    some.set()
        return bytes(received)

    async def answer(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with (tmp_path / "file").open("rb") as file:
            writer.write(WRITTEN)
            some.wait(10)  # holds the loop, so that nothing more of it is written meanwhile
            assert writer.transport.get_write_buffer_size()
            piece = FileRange(file.fileno(), 0, len(SENT))
            assert sum(
                [count async for count in sendfile.send(writer.transport, writer.drain, piece)]
            ) == len(SENT)
        writer.close()

    async with await asyncio.start_server(answer, "127.0.0.1", 0) as server:
        assert await asyncio.to_thread(read, server.sockets[0].getsockname()) == WRITTEN + SENT


async def test_who_waits_for_a_reader_does_nothing_meanwhile(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The transport says when its buffer is empty; nobody looks every now and then."""
    (tmp_path / "file").write_bytes(SENT)
    pauses: list[float] = []
    # Of that module alone: other servers of this process pause too.
    monkeypatch.setattr(sendfile, "asyncio", SimpleNamespace(**vars(asyncio) | {"sleep": pauses.append}))
    ended = asyncio.get_running_loop().create_future()

    async def answer(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with (tmp_path / "file").open("rb") as file:
            before = writer.transport.get_write_buffer_limits()
            writer.write(WRITTEN)
            piece = FileRange(file.fileno(), 0, len(SENT))
            async for _count in sendfile.send(writer.transport, writer.drain, piece):
                pass
        writer.close()
        ended.set_result(before == writer.transport.get_write_buffer_limits())

    async with await asyncio.start_server(answer, "127.0.0.1", 0) as server:
        reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
        assert await reader.readexactly(len(WRITTEN) + len(SENT)) == WRITTEN + SENT
        writer.close()
        assert await ended
    assert pauses == []


async def test_a_file_that_has_become_shorter_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"short")
    told = asyncio.get_running_loop().create_future()

    async def answer(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with (tmp_path / "file").open("rb") as file, pytest.raises(EOFError):
            async for _count in sendfile.send(writer.transport, writer.drain, FileRange(file.fileno(), 0, 6)):
                pass
        writer.close()
        told.set_result(None)

    async with await asyncio.start_server(answer, "127.0.0.1", 0) as server:
        _, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
        await told
        writer.close()


async def test_headers_come_before_their_body_though_the_answer_before_has_not_been_taken(
    server: Server,
) -> None:
    """Two requests at once on a connection; the second answer's headers wait in the server, and its file must too."""
    first = await (await stored_file(server)).prepare(sealed=False)
    surl = f"{await server.directory()}/b.dcm"
    await server.put(surl, made(pixels=3_000_000))
    second = await server.prepare(surl, recipient=RECIPIENT)
    expected = (await server.get(second["transferURL"]))[200_000:2_000_001]
    target = second["transferURL"].removeprefix(server.url)
    async with begun("GET", first["transferURL"], buffer=8192) as client:
        await client.send(
            f"GET {target} HTTP/1.1\r\nHost: localhost\r\nRange: bytes=200000-2000000\r\n\r\n".encode()
        )
        await until(lambda: server.house.admission.running == 1)
        assert (await client.head())[0] == 200
        assert len(await client.reader.readexactly(first["fileSize"])) > LARGE
        assert (await client.head())[0] == 206
        assert await client.reader.readexactly(len(expected)) == expected
