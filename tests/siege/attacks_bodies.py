"""Bodies as weapons: gzip that unpacks to a gigabyte, bodies that stop before their end, very many small values."""

import asyncio
import io
import socket
import zlib
from contextlib import ExitStack, suppress

import orjson

from tests.siege.besieged import Besieged
from tests.web.soap import envelopes

_MIB = 1 << 20


async def bombs(castle: Besieged) -> None:
    """Ten bodies of a mebibyte for each coding, of nobody, each of which would unpack to a gibibyte."""
    body = _bomb()
    for coding in ("gzip", "deflate", "br", "zstd"):
        asked = [_post(castle, "prepareToGet", body, {"Content-Encoding": coding}) for _ in range(10)]
        assert set(await asyncio.gather(*asked)) == {415}


async def halves_of_nobody(castle: Besieged, framing: str = f"Content-Length: {16 * _MIB}") -> None:
    """200 connections, each 15 of 16 MiB of a body and then silence, without a credential."""
    head = f"POST /srm/v2/prepareToGet HTTP/1.1\r\nHost: localhost\r\n{framing}\r\n\r\n".encode()
    if "chunked" in framing:
        head += b"%x\r\n" % (16 * _MIB)
    answers = await _told(castle, 200, head)
    assert set(answers) - {b""} <= {b"413", b"429", b"503"}
    assert answers.count(b"413") > 20


async def halves_in_chunks(castle: Besieged) -> None:
    """The same, and nobody can say before how long they will be."""
    await halves_of_nobody(castle, "Transfer-Encoding: chunked")


async def halves_of_one_who_may(castle: Besieged) -> None:
    """The same with a credential."""
    head = (
        f"POST /srm/v2/ls HTTP/1.1\r\nHost: localhost\r\nContent-Length: {16 * _MIB}\r\n"
        f"Authorization: Bearer {castle.attacker}\r\n\r\n"
    ).encode()
    answers = await _told(castle, 60, head)
    # Some are held for him, in silence; whoever came after is told.
    assert set(answers) - {b""} == {b"429"}
    assert answers.count(b"429") > 20


async def very_many_values(castle: Besieged) -> None:
    """16 MiB of `{"surl":"/a"}` to prepareToGet and of `"/a"` to ls, of nobody and of one who may send as much."""
    known = {"Authorization": f"Bearer {castle.attacker}"}
    for operation, field, one in (
        ("prepareToGet", b"files", b'{"surl":"/a"}'),
        ("ls", b"surls", b'"/a"'),
    ):
        body = b'{"%b":[%b]}' % (field, b",".join([one] * (16 * _MIB // (len(one) + 1) - 10)))
        assert await _post(castle, operation, body, {}) == 413
        several = await asyncio.gather(*(_post(castle, operation, body, known) for _ in range(8)))
        assert set(several) <= {413, 429}
        assert 413 in several


async def hostile_xml(castle: Besieged) -> None:
    """Envelopes of 8 MiB, each made to cost much: entities, names that are long or many, references to a long text."""
    known = {"Authorization": f"Bearer {castle.attacker}", "Content-Type": "text/xml"}
    for name, make in envelopes.HOSTILE.items():
        body = make(8 * _MIB)
        several = await asyncio.gather(*(_envelope(castle, body, known) for _ in range(2)))
        assert {status for status, _ in several} <= {200, 400, 413, 429}, name
        assert not any(b"SRM_SUCCESS" in told for _, told in several), name


async def _envelope(castle: Besieged, body: bytes, headers: dict[str, str]) -> tuple[int, bytes]:
    url = castle.url + envelopes.PATH
    async with castle.http.post(url, data=io.BytesIO(body), headers=headers) as answer:
        return answer.status, await answer.read()


async def longest_requests(castle: Besieged) -> None:
    """10,000 names of nearly a kibibyte each, twice at once."""
    long = "/".join(letter * 250 for letter in "xyz")
    body = orjson.dumps({"files": [{"surl": f"{castle.ground}/{long}/{number}"} for number in range(10_000)]})
    known = {"Authorization": f"Bearer {castle.attacker}"}
    several = await asyncio.gather(*(_post(castle, "prepareToGet", body, known) for _ in range(2)))
    assert set(several) <= {400, 404, 429, 503}


async def heads_without_end(castle: Besieged) -> None:
    """100 connections, each with 120 header fields of 32 KiB."""
    fields = [b"X-%d: %b\r\n" % (number, b"x" * 32_000) for number in range(120)]
    answers = await _told(castle, 100, b"GET / HTTP/1.1\r\nHost: localhost\r\n", *fields)
    assert set(answers) - {b""} <= {b"431"}


async def names_of_nobody(castle: Besieged) -> None:
    """As many names as a body of nobody's may hold, to what answers each with a line of its own."""
    body = orjson.dumps({"surls": [f"/{number}" for number in range(6000)]})
    head = b"POST /srm/v2/ls HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n\r\n" % len(body)
    await _told(castle, 200, head, body)


def _bomb() -> bytes:
    """A mebibyte of gzip that unpacks to a gibibyte."""
    packing = zlib.compressobj(9, wbits=31)
    first, again = (packing.compress(bytes(_MIB)) + packing.flush(zlib.Z_FULL_FLUSH) for _ in range(2))
    return first + again * 1023


async def _post(castle: Besieged, operation: str, body: bytes, headers: dict[str, str]) -> int:
    url = f"{castle.url}/srm/v2/{operation}"
    async with castle.http.post(url, data=io.BytesIO(body), headers=headers) as answer:
        await answer.read()
        return answer.status


async def _told(castle: Besieged, count: int, head: bytes, *blocks: bytes) -> list[bytes]:
    """The statuses told to so many who send this head and these blocks, 15 MiB if none are named."""
    with ExitStack() as stack:
        lines = [stack.enter_context(castle.connection()) for _ in range(count)]
        return await asyncio.gather(*(_sent(one, head, blocks or (bytes(_MIB),) * 15) for one in lines))


async def _sent(line: socket.socket, head: bytes, blocks: tuple[bytes, ...]) -> bytes:
    """As far as they are taken; the status, if one is told."""
    loop = asyncio.get_running_loop()
    line.setblocking(False)
    answer = asyncio.ensure_future(loop.sock_recv(line, 4096))
    try:
        with suppress(TimeoutError, ConnectionError):
            async with asyncio.timeout(3):
                for block in (head, *blocks):
                    await loop.sock_sendall(line, block)
        async with asyncio.timeout(3):
            return (await answer).split(b" ", 2)[1]
    except (TimeoutError, ConnectionError, IndexError):
        return b""
    finally:
        answer.cancel()
        await asyncio.gather(answer, return_exceptions=True)
