"""Bodies as weapons: gzip that unpacks to a gigabyte, bodies that stop before their end, and very many small values."""

import asyncio
import io
import socket
import zlib
from contextlib import ExitStack, suppress

import orjson
import pytest

from tests.siege.besieged import Besieged

_KIB, _MIB = 1 << 10, 1 << 20


def bomb() -> bytes:
    """A mebibyte of gzip that unpacks to a gibibyte."""
    packing = zlib.compressobj(9, wbits=31)
    first, again = (packing.compress(bytes(_MIB)) + packing.flush(zlib.Z_FULL_FLUSH) for _ in range(2))
    return first + again * 1023


async def post(castle: Besieged, operation: str, body: bytes, **headers: str) -> int:
    url = f"{castle.url}/srm/v2/{operation}"
    async with castle.http.post(url, data=io.BytesIO(body), headers=headers) as answer:
        await answer.read()
        return answer.status


async def test_gzip_that_would_unpack_to_gibibytes_is_refused_as_it_is(castle: Besieged) -> None:
    """Before: /health/live after 18 s, another caller waited 26 s, +437 MiB."""
    body = bomb()
    assert len(body) > _MIB - 100 * _KIB
    before = castle.resident
    async with castle.neighbour.served_well(stall=8):
        for coding in ("gzip", "deflate", "br", "zstd"):
            headers = {"Content-Encoding": coding}
            asked = [post(castle, "prepareToGet", body, **headers) for _ in range(10)]
            assert set(await asyncio.gather(*asked)) == {415}
    assert castle.resident < before + 100 * _MIB


async def told(connection: socket.socket, head: bytes, blocks: int) -> bytes:
    """The status that is told to one who sends this head and so many mebibytes behind it, as far as they are taken."""
    loop = asyncio.get_running_loop()
    connection.setblocking(False)
    answer = asyncio.ensure_future(loop.sock_recv(connection, 4096))
    try:
        with suppress(TimeoutError, ConnectionError):
            async with asyncio.timeout(3):
                await loop.sock_sendall(connection, head)
                for _ in range(blocks):
                    await loop.sock_sendall(connection, bytes(_MIB))
        async with asyncio.timeout(3):
            return (await answer).split(b" ", 2)[1]
    except (TimeoutError, ConnectionError, IndexError):
        return b""
    finally:
        answer.cancel()


@pytest.mark.parametrize("framing", [f"Content-Length: {16 * _MIB}", "Transfer-Encoding: chunked"])
async def test_bodies_of_nobody_that_stop_before_their_end_take_no_memory(
    castle: Besieged, framing: str
) -> None:
    """Before: 200 connections, each 15 of 16 MiB and then silence: +4.4 GB, held for ever."""
    before = castle.resident
    head = f"POST /srm/v2/prepareToGet HTTP/1.1\r\nHost: localhost\r\n{framing}\r\n\r\n".encode()
    if "chunked" in framing:
        head += b"%x\r\n" % (16 * _MIB)
    with ExitStack() as stack:
        async with castle.neighbour.served_well(stall=8):
            connections = [stack.enter_context(castle.connection()) for _ in range(200)]
            answers = await asyncio.gather(*(told(one, head, 15) for one in connections))
            assert castle.resident < before + 300 * _MIB
    assert set(answers) - {b""} <= {b"413", b"429", b"503"}
    assert answers.count(b"413") > 20


async def test_bodies_of_one_who_may_send_them_have_a_share_of_memory(castle: Besieged) -> None:
    """The same with a credential: what he has no memory for is refused at once, and the neighbour's is left."""
    before = castle.resident
    head = (
        f"POST /srm/v2/ls HTTP/1.1\r\nHost: localhost\r\nContent-Length: {16 * _MIB}\r\n"
        f"Authorization: Bearer {castle.attacker}\r\n\r\n"
    ).encode()
    with ExitStack() as stack:
        async with castle.neighbour.served_well(stall=8):
            connections = [stack.enter_context(castle.connection()) for _ in range(60)]
            answers = await asyncio.gather(*(told(one, head, 15) for one in connections))
            assert castle.resident < before + 400 * _MIB
    # Eight are held for him, in silence; whoever came after is told.
    assert set(answers) - {b""} == {b"429"}
    assert answers.count(b"429") > 20


@pytest.mark.parametrize("operation", ["prepareToGet", "ls"])
async def test_very_many_values_are_not_parsed(castle: Besieged, operation: str) -> None:
    """Before: 16 MiB of `{"surl":"/a"}` from nobody: every client stood still 3.3 s, 1.0 GB resident; `ls` with 2.7 M
    names 0.5 s."""
    one, field = (b'{"surl":"/a"}', b"files") if operation == "prepareToGet" else (b'"/a"', b"surls")
    body = b'{"%b":[%b]}' % (field, b",".join([one] * (16 * _MIB // (len(one) + 1) - 10)))
    before = castle.resident
    async with castle.neighbour.served_well(stall=8):
        assert await post(castle, operation, body) == 413
        known = {"Authorization": f"Bearer {castle.attacker}"}
        assert await post(castle, operation, body, **known) == 413
        # Several at once, from one who may send as much.
        several = await asyncio.gather(*(post(castle, operation, body, **known) for _ in range(8)))
        assert set(several) <= {413, 429}
    assert castle.resident < before + 300 * _MIB


async def test_the_longest_requests_of_one_who_may_send_them_hold_nobody_up(castle: Besieged) -> None:
    """10,000 names of more than a kibibyte each, as many at once as he can send."""
    files = [
        {"surl": f"{castle.ground}/{'x' * 250}/{'y' * 250}/{'z' * 250}/{number}"} for number in range(10_000)
    ]
    body = orjson.dumps({"files": files})
    known = {"Authorization": f"Bearer {castle.attacker}"}
    async with castle.neighbour.served_well(stall=8):
        several = await asyncio.gather(*(post(castle, "prepareToGet", body, **known) for _ in range(2)))
    assert set(several) <= {400, 404, 429, 503}


async def test_heads_without_end_are_cut_short(castle: Besieged) -> None:
    """128 fields of 32 KiB were 4 MiB a connection, of nobody."""
    before = castle.resident
    loop = asyncio.get_running_loop()

    async def attack(connection: socket.socket) -> bytes:
        connection.setblocking(False)
        try:
            await loop.sock_sendall(connection, b"GET / HTTP/1.1\r\nHost: localhost\r\n")
            for number in range(120):
                await loop.sock_sendall(connection, b"X-%d: %b\r\n" % (number, b"x" * 32_000))
        except ConnectionError:
            pass
        try:
            async with asyncio.timeout(20):
                return await loop.sock_recv(connection, 4096)
        except ConnectionError:
            return b""

    with ExitStack() as stack:
        async with castle.neighbour.served_well(stall=8):
            connections = [stack.enter_context(castle.connection()) for _ in range(100)]
            answers = await asyncio.gather(*map(attack, connections))
    assert {answer.split(b" ", 2)[1] for answer in answers if answer} <= {b"431"}
    assert castle.resident < before + 100 * _MIB
