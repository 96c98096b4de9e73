"""Other servers of the tests' own, over TLS: each path behaves as a test says, down to the bytes on the wire."""

import asyncio
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path


@dataclass
class Asked:
    """One request as it came, its body excepted."""

    method: str
    path: str
    headers: list[tuple[str, str]]

    def all(self, name: str) -> list[str]:
        return [value for own, value in self.headers if own.lower() == name.lower()]


@dataclass
class Talk:
    """A connection to the peer, on which `asked` has come."""

    asked: Asked
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    async def say(self, text: str | bytes) -> None:
        self.writer.write(text.encode() if isinstance(text, str) else text)
        await self.writer.drain()

    async def answer(self, status: int, body: bytes = b"", **headers: str) -> None:
        """A whole answer; a name's underscores are hyphens."""
        told = {"Content_Length": str(len(body))} | headers
        lines = "".join(f"{name.replace('_', '-')}: {value}\r\n" for name, value in told.items() if value)
        await self.say(f"HTTP/1.1 {status} Whatever\r\n{lines}\r\n")
        await self.say(body if self.asked.method != "HEAD" else b"")

    async def body(self) -> bytes:
        """The request's body, asked for."""
        await self.say("HTTP/1.1 100 Continue\r\n\r\n")
        return await self.reader.readexactly(int(self.asked.all("Content-Length")[0]))

    async def for_ever(self) -> None:
        """Say nothing more until the other end goes."""
        while await self.reader.read(65536):
            pass

    def cut(self) -> None:
        self.writer.transport.abort()


Behaviour = Callable[[Talk], Awaitable[None]]


@dataclass
class Peer:
    """`asked` are the requests that came, in their order; `open` the connections that are."""

    port: int = 0
    on: dict[str, Behaviour] = field(default_factory=dict)
    asked: list[Asked] = field(default_factory=list)
    open: int = 0

    def url(self, path: str, host: str = "localhost") -> str:
        return f"https://{host}:{self.port}{path}"

    def methods(self, path: str) -> list[str]:
        return [one.method for one in self.asked if one.path == path]

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.open += 1
        try:
            with suppress(ConnectionError, asyncio.IncompleteReadError, ssl.SSLError):
                head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
                first, *lines = head.split("\r\n")
                method, path, _ = first.split(" ")
                pairs = [line.partition(": ") for line in lines if line]
                asked = Asked(method, path, [(name, value) for name, _, value in pairs])
                self.asked.append(asked)
                await self.on.get(path, _nothing)(Talk(asked, reader, writer))
        finally:
            self.open -= 1
            writer.close()


async def _nothing(talk: Talk) -> None:
    await talk.answer(404)


@asynccontextmanager
async def a_peer(certificate: Path) -> AsyncIterator[Peer]:
    """On 127.0.0.1; `certificate` has its key, too."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate)
    peer = Peer()
    server = await asyncio.start_server(peer.serve, "127.0.0.1", 0, ssl=context)
    peer.port = server.sockets[0].getsockname()[1]
    try:
        yield peer
    finally:
        server.close()


def gives(body: bytes, **headers: str) -> Behaviour:
    """A file as any web server gives it."""

    async def behave(talk: Talk) -> None:
        await talk.answer(200, body, **headers)

    return behave


@dataclass
class Store:
    """One file of a server that takes PUT: it answers HEAD and DELETE as what it has."""

    content: bytes | None = None
    digest: str = ""
    """What a HEAD tells; none when it is empty."""
    lies: bytes | None = None
    """What it has stored of whatever came."""

    async def __call__(self, talk: Talk) -> None:
        asked = talk.asked
        if asked.method == "PUT":
            came = await talk.body()
            is_new, self.content = self.content is None, self.lies if self.lies is not None else came
            await talk.answer(201 if is_new else 204)
        elif asked.method == "DELETE":
            self.content = None
            await talk.answer(204)
        elif self.content is None:
            await talk.answer(404)
        else:
            await talk.answer(200, self.content, Digest=self.digest)
