"""The one-step verbs as a face calls them, with what it would send of an opened view."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

from mdm_async.blobs.store import FileRange
from mdm_async.crypt4gh.exchange import new_private_key, public_key
from mdm_async.crypt4gh.stream import Unsealer
from mdm_async.identity.authenticator import Circumstances
from mdm_async.images.transfers import storing
from mdm_async.images.transfers.opening import OpenedView
from mdm_async.images.transfers.storing import StoreAsk, StoredFile
from mdm_async.names import Caller
from tests.conftest import Server

PRIVATE = new_private_key()
RECIPIENT = public_key(PRIVATE)


async def caller(server: Server, token: str | None = None) -> Caller:
    """Whose token this is; the administrator without one."""
    shown = f"Bearer {token or server.admin_token}"
    return await server.house.authenticator.caller(shown, None, Circumstances("PUT", "/", ""))


async def chunks(data: bytes, size: int = 64 << 10) -> AsyncIterator[bytes]:
    for start in range(0, len(data), size):
        yield data[start : start + size]


class Stream:
    """A body that comes as far as `half`, and on when it is let. `deaf`: nobody but its sender can cut it."""

    def __init__(self, data: bytes, *, deaf: bool = False) -> None:
        self.data, self.deaf = data, deaf
        self.half, self.on = asyncio.Event(), asyncio.Event()
        self.cut = False

    async def __aiter__(self) -> AsyncIterator[bytes]:
        middle = len(self.data) // 2
        yield self.data[:middle]
        self.half.set()
        await self.on.wait()
        if self.cut:
            raise ConnectionResetError("the client has gone")
        yield self.data[middle:]

    def break_off(self) -> None:
        """As a connection that is cut."""
        self.cut = True
        self.on.set()


async def store(
    server: Server, surl: str, body: bytes | Stream, token: str | None = None, **ask: Any
) -> StoredFile:
    house = server.house
    coming = chunks(body) if isinstance(body, bytes) else aiter(body)
    cut = body.break_off if isinstance(body, Stream) and not body.deaf else lambda: None
    asked = StoreAsk(surl, **ask)
    return await storing.store(
        house.intake, house.judge, house.admission, await caller(server, token), asked, coming, cut
    )


async def opened(server: Server, surl: str, token: str | None = None, **options: Any) -> OpenedView:
    return await server.house.opened.open(await caller(server, token), surl, **options)


async def content(server: Server, view: OpenedView) -> bytes:
    """All that a face would send: the plain bytes, or the sealed stream opened with the test's key."""
    served = view.warm.served
    async with served.open([(0, served.size)], files=False) as pieces:
        sent = [bytes(piece) async for piece in pieces(0, served.size) if not isinstance(piece, FileRange)]
    if not served.sealed:
        return b"".join(sent)
    unsealer, plain = Unsealer(PRIVATE), bytearray()
    for piece in sent:
        for opened_ in unsealer.feed(piece):
            plain += opened_
    for opened_ in unsealer.close():
        plain += opened_
    return bytes(plain)


async def read(server: Server, surl: str, token: str | None = None, **options: Any) -> bytes:
    return await content(server, await opened(server, surl, token, **options))
