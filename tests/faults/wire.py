"""Clients that misbehave: bare sockets that speak just enough HTTP to break off where they like."""

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from urllib.parse import urlsplit


@dataclass
class Client:
    """A connection on which one request was begun."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    async def send(self, data: bytes) -> None:
        """Raises ConnectionError when the server has cut it: uvloop says so of a write in the same turn only by a
        RuntimeError."""
        if self.writer.transport.is_closing():
            raise ConnectionResetError
        self.writer.write(data)
        await self.writer.drain()

    async def head(self) -> tuple[int, dict[str, str]]:
        """The answer's status and headers (in lower case)."""
        status, *lines = (await self.reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        return int(status.split()[1]), {
            name.lower(): value for name, _, value in (line.partition(": ") for line in lines if line)
        }

    async def rest(self) -> bytes:
        """All that still comes, until the server closes or cuts."""
        received = bytearray()
        try:
            while chunk := await self.reader.read(1 << 16):
                received += chunk
        except ConnectionError:
            pass
        return bytes(received)

    def vanish(self) -> None:
        """Cut the connection at once, without a word."""
        self.writer.transport.abort()


@asynccontextmanager
async def begun(method: str, url: str, *, buffer: int | None = None, **headers: str) -> AsyncIterator[Client]:
    """A request whose line and headers are sent. `buffer`: the socket's receive buffer in bytes, kept small."""
    parts = urlsplit(url)
    raw = socket.socket()
    raw.setblocking(False)
    if buffer is not None:
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, buffer)
    await asyncio.get_running_loop().sock_connect(raw, (parts.hostname, parts.port))
    reader, writer = await asyncio.open_connection(sock=raw, limit=buffer or 1 << 16)
    client = Client(reader, writer)
    try:
        lines = [f"{method} {parts.path} HTTP/1.1", f"Host: {parts.netloc}"]
        lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
        await client.send(("\r\n".join(lines) + "\r\n\r\n").encode())
        yield client
    finally:
        client.vanish()
