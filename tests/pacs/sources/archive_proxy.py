"""What stands between the server and an archive in tests: it counts what is fetched, and fails on demand."""

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

_SERIES = re.compile(rb"GET \S*/series/[^/\s]+ HTTP")
_FETCH = re.compile(rb"GET \S*/instances/\S+ HTTP")


class ArchiveProxy:
    """To the archive at `port`. `fetched`: requests for one instance; `together`: for a series."""

    def __init__(self, port: int) -> None:
        self._to = port
        self.port = 0
        self.fetched = 0
        self.together = 0
        self.asked = b""
        """All that was sent to the archive."""
        self.cut_after: int | None = None
        """Bytes of an answer after which the connection is cut, once."""
        self.open = asyncio.Event()
        """While it is not set, nothing passes."""
        self.open.set()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            theirs, to = await asyncio.open_connection("127.0.0.1", self._to)
        except OSError:
            writer.close()
            return
        try:
            async with asyncio.TaskGroup() as both:
                both.create_task(self._ask(reader, to))
                both.create_task(self._answer(theirs, writer))
        except* (OSError, asyncio.IncompleteReadError):
            pass
        finally:
            for one in (writer, to):
                one.close()
                with suppress(OSError):
                    await one.wait_closed()

    async def _ask(self, reader: asyncio.StreamReader, to: asyncio.StreamWriter) -> None:
        while data := await reader.read(65536):
            await self.open.wait()
            self.asked += data
            self.fetched += len(_FETCH.findall(data))
            self.together += len(_SERIES.findall(data))
            to.write(data)
            await to.drain()
        raise ConnectionResetError

    async def _answer(self, theirs: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await theirs.read(65536):
            await self.open.wait()
            if self.cut_after is not None and (self.fetched or self.together):
                self.cut_after -= len(data)
                if self.cut_after <= 0:
                    self.cut_after = None
                    writer.transport.abort()
                    raise ConnectionResetError
            writer.write(data)
            await writer.drain()
        raise ConnectionResetError


@asynccontextmanager
async def proxied(port: int) -> AsyncIterator[ArchiveProxy]:
    proxy = ArchiveProxy(port)
    connections: set[asyncio.Task[None]] = set()

    def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.create_task(proxy.serve(reader, writer))
        connections.add(task)
        task.add_done_callback(connections.discard)

    server = await asyncio.start_server(accept, "127.0.0.1", 0)
    proxy.port = server.sockets[0].getsockname()[1]
    try:
        yield proxy
    finally:
        server.close()
        for task in list(connections):
            task.cancel()
        await asyncio.gather(*connections, return_exceptions=True)
