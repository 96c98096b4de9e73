"""A mirror that hangs costs its first site one call, and no more of its time than is said."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from uuid import uuid4

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from mdm_async.client import second_site
from mdm_async.client.second_site import SecondSite
from mdm_async.errors import InsecureChannel, Unavailable, WrongContent

KEY = Ed25519PrivateKey.generate()


@asynccontextmanager
async def silent() -> AsyncIterator[str]:
    """The URL of a server that takes connections, reads a little, and says nothing."""
    done = asyncio.Event()

    async def hold(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await done.wait()
        writer.close()

    async with await asyncio.start_server(hold, "127.0.0.1", 0, limit=1024) as server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        done.set()


async def test_a_call_that_is_not_answered_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(second_site, "CALL_SECONDS", 0.1)
    async with silent() as url, SecondSite(url, "credential", KEY) as site:
        with pytest.raises(Unavailable, match="does not answer in time"):
            await site.hello(uuid4(), None, None)


async def test_a_file_that_is_not_taken_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(second_site, "STALL_SECONDS", 0.1)
    monkeypatch.setattr(second_site, "_STORE_SECONDS", 0.1)

    async def endless() -> AsyncIterator[bytes]:
        while True:
            yield bytes(1 << 20)

    async with silent() as url, SecondSite(url, "credential", KEY) as site:
        with pytest.raises(Unavailable):
            await site.upload("00000000-0000-0000-0000-000000000000", endless())


async def test_an_endless_answer_is_not_kept() -> None:
    async def endlessly(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n")
        with suppress(ConnectionError):
            while True:
                writer.write(bytes(1 << 20))
                await writer.drain()
        writer.close()

    async with await asyncio.start_server(endlessly, "127.0.0.1", 0) as server:
        url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        async with SecondSite(url, "credential", KEY) as site:
            with pytest.raises(WrongContent, match="has more than"):
                await site.hello(uuid4(), None, None)


async def test_a_credential_crosses_no_network_in_the_clear() -> None:
    with pytest.raises(InsecureChannel):
        SecondSite("http://mdm2.example.org", "credential", KEY)
