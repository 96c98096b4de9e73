"""A proxy before the gateway that hands requests on and loses answers; of what is read, some comes."""

import asyncio
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress

_METHODS = (b"GET ", b"HEAD ", b"PUT ", b"POST ", b"DELETE ")


class LosingProxy:
    """`loses` is asked of each request's line; once an answer was lost, it is asked no more."""

    def __init__(self, port: int) -> None:
        self._port = port
        self.loses: Callable[[bytes], bool] = lambda _: False
        self.lost = 0
        self.url = ""

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(asyncio.CancelledError):  # the loop ends
            await self._serve(reader, writer)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there, back = await asyncio.open_connection("127.0.0.1", self._port)
        asked = b""

        async def forth() -> None:
            nonlocal asked
            while data := await reader.read(1 << 16):
                if data.startswith(_METHODS):
                    asked = data.partition(b"\r\n")[0]
                back.write(data)
                await back.drain()

        async def return_() -> None:
            while data := await there.read(1 << 16):
                if data.startswith(b"HTTP/1.1 2") and self.loses(asked):
                    self.loses, self.lost = lambda _: False, self.lost + 1
                    if asked.startswith(b"GET "):
                        writer.write(data[:-1])
                        await writer.drain()
                    return
                writer.write(data)
                await writer.drain()

        tasks = [asyncio.create_task(forth()), asyncio.create_task(return_())]
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            for side in (writer, back):
                side.close()
                with suppress(OSError):
                    await side.wait_closed()


@asynccontextmanager
async def losing_proxy(port: int, context: ssl.SSLContext | None = None) -> AsyncIterator[LosingProxy]:
    """Before this port, with TLS where there is a context for it."""
    proxy = LosingProxy(port)
    server = await asyncio.start_server(proxy.serve, "127.0.0.1", 0, ssl=context)
    proxy.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    try:
        yield proxy
    finally:
        server.close()
