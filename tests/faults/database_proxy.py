"""A proxy before Postgres that cuts, refuses, hangs, or loses one answer: faults as a fixture."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from urllib.parse import parse_qs, urlencode, urlsplit, urlunsplit


class DatabaseProxy:
    """Forwards connections until told otherwise; `dsn` leads through it."""

    def __init__(self, dsn: str) -> None:
        self._target = dsn
        self._pairs: set[tuple[asyncio.StreamWriter, asyncio.StreamWriter]] = set()
        self._open = asyncio.Event()
        self._open.set()
        self._refusing = False
        self._lossy: bytes | None = None
        self.lost = asyncio.Event()
        """Set once an answer to COMMIT was lost."""
        self.dsn = ""

    def cut(self) -> None:
        """Cut all connections, and refuse new ones."""
        self._refusing = True
        for pair in self._pairs:
            for writer in pair:
                writer.transport.abort()

    def hang(self) -> None:
        """Say nothing more on any connection, and take no new one."""
        self._open.clear()

    def restore(self) -> None:
        self._refusing = False
        self._open.set()

    def lose_commit_after(self, statement: bytes) -> None:
        """Cut the connection on which this statement was sent between its COMMIT and the answer to that."""
        self._lossy = statement

    async def take(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await self._open.wait()
        if self._refusing:
            writer.transport.abort()
            return
        far_reader, far_writer = await self._connect()
        pair = writer, far_writer
        self._pairs.add(pair)
        doomed = asyncio.Event()
        try:
            await asyncio.gather(
                self._forward(reader, far_writer, sent=doomed),
                self._forward(far_reader, writer, doomed=doomed),
            )
        except ConnectionError:
            pass
        finally:
            self._pairs.discard(pair)
            for end in pair:
                end.transport.abort()

    async def _connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        parts = urlsplit(self._target)
        host = parse_qs(parts.query).get("host", [parts.hostname or "localhost"])[0]
        port = int(parse_qs(parts.query).get("port", [parts.port or 5432])[0])
        if host.startswith("/"):
            return await asyncio.open_unix_connection(f"{host}/.s.PGSQL.{port}")
        return await asyncio.open_connection(host, port)

    async def _forward(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        *,
        sent: asyncio.Event | None = None,
        doomed: asyncio.Event | None = None,
    ) -> None:
        """One direction. `sent` is set with the COMMIT whose answer, the other direction's, is to be lost."""
        concerned = False
        while data := await reader.read(1 << 16):
            await self._open.wait()
            if doomed is not None and doomed.is_set():
                self.lost.set()
                raise ConnectionResetError
            if sent is not None and self._lossy is not None:
                concerned |= self._lossy in data
                if concerned and b"COMMIT;" in data:
                    self._lossy = None
                    sent.set()
            writer.write(data)
            await writer.drain()
        raise ConnectionResetError


@asynccontextmanager
async def proxied(dsn: str) -> AsyncIterator[DatabaseProxy]:
    """A proxy to the database of `dsn`."""
    proxy = DatabaseProxy(dsn)
    listener = await asyncio.start_server(proxy.take, "127.0.0.1", 0)
    port = listener.sockets[0].getsockname()[1]
    parts = urlsplit(dsn)
    user = parts.username or ""
    secret = f":{parts.password}" if parts.password else ""
    proxy.dsn = urlunsplit(
        ("postgresql", f"{user}{secret}@127.0.0.1:{port}", parts.path, urlencode({"sslmode": "disable"}), "")
    )
    try:
        yield proxy
    finally:
        proxy.restore()
        proxy.cut()
        listener.close()
        with suppress(TimeoutError):
            async with asyncio.timeout(5):
                await listener.wait_closed()
