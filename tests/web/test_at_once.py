"""A read answered at once is answered as any other: to the last byte, under the same limits, in the same trail."""

import asyncio
import os
import re
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from urllib.parse import urlsplit

import pytest

from mdm_async.images.metrics import CLEAR_OUT, SEALED_OUT
from mdm_async.web.http.at_once import AtOnce
from mdm_async.web.http.connection import Connection
from mdm_async.web.http.counting import _kept
from tests.conftest import Server
from tests.faults.conditions import until
from tests.faults.transfers import downloads
from tests.faults.wire import begun
from tests.patience import PATIENCE
from tests.web.made_images import made
from tests.web.sealed_lines import RECIPIENT

OTHERWISE = "X-Nothing: 1\r\n"
"""A field of which nothing is known sends a request the long way."""
HEADS = [
    "Host: {host}\r\n",
    "host: {host}\r\nuser-agent: wrk\r\nAccept: */*\r\nAccept-Encoding: gzip, deflate\r\nConnection: Keep-Alive\r\n",
    "Host: {host}\r\nRange: bytes=0-0\r\n",
    "Host: {host}\r\nRange: bytes=1000-70000\r\n",
    "Host: {host}\r\nRange: bytes=70000-\r\n",
    "Host: {host}\r\nRange: bytes=-5\r\n",
]
ELSEWHERE = [
    "Host: {host}\r\nRange: bytes=0-0,5-6\r\n",
    "Host: {host}\r\nRange: bytes=99999999-\r\n",
    "Host: {host}\r\nRange: pixels=1-2\r\n",
    "Host: {host}\r\nIf-None-Match: *\r\n",
    "Host: {host}\r\nWant-Digest: md5\r\n",
    "Host: {host}\r\nConnection: close\r\n",
    "Host: {host}\r\nSciTag: 70\r\n",
    "Host: {host}\r\nX-Forwarded-For: 10.0.0.1\r\n",
    "Host: elsewhere.example\r\n",
    "Host: {host}\r\nHost: {host}\r\n",
    "Host : {host}\r\n",
    "Host: {host}\r\nContent-Length: 0\r\n",
    "Host: {host}\r\nAccept: \u00e4\r\n",
]


@pytest.fixture
def answered(monkeypatch: pytest.MonkeyPatch) -> list[bool]:
    """Of each request that came to this process: whether it was answered at once."""
    found: list[bool] = []
    before = AtOnce.answer

    def answer(self: AtOnce, connection: Connection, data: bytes) -> bool:
        found.append(before(self, connection, data))
        return found[-1]

    monkeypatch.setattr(AtOnce, "answer", answer)
    return found


@pytest.fixture
def narrow(monkeypatch: pytest.MonkeyPatch) -> None:
    """The kernel takes little of what is sent on connections that are made from now on."""
    before = Connection.connection_made

    def made_narrow(self: Connection, transport: asyncio.BaseTransport) -> None:
        before(self, transport)
        with socket.socket(fileno=os.dup(transport.get_extra_info("socket").fileno())) as own:
            own.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 8192)

    monkeypatch.setattr(Connection, "connection_made", made_narrow)


@pytest.fixture(scope="module")
async def urls(server: Server) -> dict[str, str]:
    """Of one file, warm."""
    surl = f"{await server.directory()}/a.dcm"
    await server.put(surl, made(pixels=500_000))
    found = {
        "clear": (await server.prepare(surl))["transferURL"],
        "sealed": (await server.prepare(surl, recipient=RECIPIENT))["transferURL"],
    }
    found["by name"] = f"{server.url}/dav{surl}"
    for url in (found["clear"], found["sealed"]):
        await server.get(url)  # Its intent is written.
    return found


@asynccontextmanager
async def line(server: Server) -> AsyncIterator[Callable[[str, str], Awaitable[bytes]]]:
    reader, writer = await asyncio.open_connection("127.0.0.1", server.house.port)

    async def ask(url: str, fields: str) -> bytes:
        parts = urlsplit(url)
        writer.write(f"GET {parts.path} HTTP/1.1\r\n{fields.format(host=parts.netloc)}\r\n".encode())
        async with asyncio.timeout(PATIENCE):
            head = await reader.readuntil(b"\r\n\r\n")
            length = re.search(rb"Content-Length: (\d+)", head)
            return head + await reader.readexactly(int(length[1]) if length and b" 304 " not in head else 0)

    try:
        yield ask
    finally:
        writer.transport.abort()


def alike(answer: bytes) -> bytes:
    """Without what is another each time."""
    return re.sub(
        rb"(X-Request-Id: )[0-9a-f]{16}|(Date: )[^\r]*|(\"requestId\":\")[0-9a-f]{16}", rb"\1\2\3", answer
    )


@pytest.mark.parametrize("kind", ["clear", "sealed"])
@pytest.mark.parametrize("fields", HEADS)
async def test_it_is_the_same_answer(
    server: Server, urls: dict[str, str], answered: list[bool], kind: str, fields: str
) -> None:
    async with line(server) as ask:
        other = alike(await ask(urls[kind], fields + OTHERWISE))
        assert answered == [False]

        async def found() -> bool:
            assert alike(await ask(urls[kind], fields)) == other
            return answered[-1]

        await until(found)  # What is known of the feed may not be new enough at first.


@pytest.mark.parametrize("fields", HEADS)
async def test_by_name_it_is_the_same_too(
    server: Server, urls: dict[str, str], answered: list[bool], fields: str
) -> None:
    name = f"at-once-{HEADS.index(fields)}"
    token = await server.token("rl", name=name)
    answered.clear()
    fields += f"Authorization: Bearer {token}\r\n"
    async with line(server) as ask:
        await ask(urls["by name"], fields)
        other = alike(await ask(urls["by name"], fields + OTHERWISE))
        assert answered == [False, False]

        async def found() -> bool:
            assert alike(await ask(urls["by name"], fields)) == other
            return answered[-1]

        await until(found)
        # Whoever else asks is asked who they are.
        for shown in ("", f"Authorization: Bearer {token}x\r\n", f"Authorization: bearer {token[:-1]}\r\n"):
            assert (await ask(urls["by name"], "Host: localhost\r\n" + shown)).startswith(b"HTTP/1.1 40")
            assert not answered[-1]
        assert (
            await server.call("DELETE", f"/admin/v1/tokens/{name}", token=server.admin_token)
        ).status < 300
        assert (await ask(urls["by name"], fields)).startswith(b"HTTP/1.1 401")


@pytest.mark.parametrize("fields", ELSEWHERE)
async def test_what_is_not_plain_goes_the_long_way(
    server: Server, urls: dict[str, str], answered: list[bool], fields: str
) -> None:
    async with line(server) as ask:
        await ask(urls["clear"], fields)
    assert answered == [False]


@pytest.mark.parametrize("kind", ["clear", "sealed"])
async def test_whoever_takes_it_slowly_gets_it_whole(
    server: Server, narrow: None, urls: dict[str, str], answered: list[bool], kind: str
) -> None:
    expected = await server.get(urls[kind])
    counted = _kept("GET /t/{token}/{name}", 200)[0]._value
    before, requests = bytes_out(), counted.get()
    async with begun("GET", urls[kind], buffer=4096) as client:
        assert (await client.head())[0] == 200
        assert downloads() == 1
        await client.send(f"GET {urlsplit(urls[kind]).path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
        for _ in range(2):
            assert await client.reader.readexactly(len(expected)) == expected
            if _ == 0:
                assert (await client.head())[0] == 200
        await until(lambda: counted.get() == requests + 2)
    assert bytes_out() == before + 2 * len(expected)
    assert downloads() == 0
    assert not any(answered[1:])


@pytest.mark.parametrize("kind", ["clear", "sealed"])
async def test_what_is_released_ends_though_it_has_begun(server: Server, narrow: None, kind: str) -> None:
    surl = f"{await server.directory()}/a.dcm"
    await server.put(surl, made(pixels=500_000))
    chosen = {"recipient": RECIPIENT} if kind == "sealed" else {}
    tree = await server.srm("prepareToGet", files=[{"surl": surl}], **chosen)
    (file,) = tree["files"]
    await server.get(file["transferURL"])
    async with begun("GET", file["transferURL"], buffer=4096) as client:
        assert (await client.head())[0] == 200
        await server.srm("releaseFiles", requestToken=tree["requestToken"])
        await until(lambda: downloads() == 0)
        assert len(await client.rest()) < file["fileSize"]
    assert (await server.call("GET", file["transferURL"])).status == 410


async def test_two_requests_at_once_are_answered_in_turn(
    server: Server, urls: dict[str, str], answered: list[bool]
) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", server.house.port)
    path = urlsplit(urls["clear"]).path
    for part in ("0-9", "10-19"):
        writer.write(f"GET {path} HTTP/1.1\r\nHost: localhost\r\nRange: bytes={part}\r\n\r\n".encode())
    for part in (b"0-9", b"10-19"):
        assert b"Content-Range: bytes " + part in await reader.readuntil(b"\r\n\r\n")
        await reader.readexactly(10)
    assert not any(answered)
    writer.transport.abort()


async def test_a_server_that_shuts_down_refuses(server: Server, urls: dict[str, str]) -> None:
    async with line(server) as ask:
        server.house.draining = True
        try:
            assert (await ask(urls["clear"], "Host: localhost\r\n")).startswith(b"HTTP/1.1 429 ")
        finally:
            server.house.draining = False


async def test_no_more_run_than_may(server: Server, urls: dict[str, str], answered: list[bool]) -> None:
    slots = server.house.admission._slots
    async with line(server) as ask:
        slots.used += slots.most
        try:
            assert (await ask(urls["clear"], "Host: localhost\r\n")).startswith(b"HTTP/1.1 429 ")
        finally:
            slots.used -= slots.most
    assert answered == [False]


async def test_it_is_in_the_audit(server: Server, answered: list[bool]) -> None:
    name = "told of.dcm"
    surl = f"{await server.directory()}/{name}"
    await server.put(surl, made(pixels=500_000))
    file = await server.prepare(surl)
    await server.get(file["transferURL"])
    answered.clear()
    async with line(server) as ask:

        async def found() -> bool:
            await ask(file["transferURL"], "Host: localhost\r\n")
            return answered[-1]

        await until(found)

    async def rows() -> list[tuple[str, int | None]]:
        async with server.house.database.acquire() as db:
            found = await db.fetch(
                "select outcome, bytes from audit join entries using (guid) where name = $1 and act = 'read'"
                " order by audit.id",
                name,
            )
        return [(row["outcome"], row["bytes"]) for row in found]

    async def told() -> bool:
        found = await rows()
        assert [outcome for outcome, _ in found if outcome == "begun"] == ["begun"]
        return sum(size or 0 for _, size in found) == len(answered) * file["fileSize"] + file["fileSize"]

    await until(told)


def bytes_out() -> int:
    return int(CLEAR_OUT._value.get() + SEALED_OUT._value.get())
