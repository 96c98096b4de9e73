"""Bytes that come in as a Crypt4GH stream: told by their beginning, and opened off the event loop."""

from collections.abc import AsyncIterator
from functools import partial

from mdm_async.crypt4gh.header import MAGIC
from mdm_async.crypt4gh.stream import Unsealer, looks_sealed
from mdm_async.errors import NotDicom
from mdm_async.images.cipher_pool import CipherPool

_PACKETS = 64
"""Header packets that a stream may have: each costs a key exchange."""


async def peeked(body: AsyncIterator[bytes]) -> tuple[bool, AsyncIterator[bytes]]:
    """Whether these bytes are sealed; and all of them."""
    first = b""
    async for chunk in body:
        first += chunk
        if len(first) >= len(MAGIC):
            break

    async def whole() -> AsyncIterator[bytes]:
        yield first
        async for chunk in body:
            yield chunk

    return looks_sealed(first), whole()


async def unsealed(cipher: CipherPool, body: AsyncIterator[bytes], private: bytes) -> AsyncIterator[bytes]:
    """The plain bytes of a stream that was sealed to this private key. Raises BadSeal, NotDicom when none are."""
    unsealer = Unsealer(private, max_packets=_PACKETS)
    size = 0
    async for chunk in body:
        for plain in await cipher.run(partial(unsealer.feed, chunk)):
            size += len(plain)
            yield bytes(plain)
    for plain in unsealer.close():
        size += len(plain)
        yield bytes(plain)
    if not size and unsealer.header is not None and unsealer.header.edit_list is not None:
        raise NotDicom("the stream's edit list keeps no byte", remedy="seal the file without an edit list")
