"""COPY with `Source`: the file is there and is what the source promised, or nothing is."""

import asyncio
import base64
import hashlib
import zlib

import aiohttp
import pytest

from tests.faults.conditions import until
from tests.web.copying.conftest import LARGEST, Copying
from tests.web.copying.peers import Behaviour, Talk, gives


def adler(data: bytes) -> str:
    return f"adler32={zlib.adler32(data):08x}"


def md5(data: bytes) -> str:
    return base64.b64encode(hashlib.md5(data, usedforsecurity=False).digest()).decode()


async def test_a_pulled_file_is_stored_byte_for_byte_and_told_of_meanwhile(
    copying: Copying, place: str, ct: bytes
) -> None:
    copying.peer.on["/ct"] = gives(ct, Digest=adler(ct))
    told = await copying.done(f"{place}/f", Source=copying.peer.url("/ct"))
    assert told.startswith("Perf Marker\n    Timestamp: "), told
    last = told.split("Perf Marker\n")[-1]
    assert f"    Stripe Bytes Transferred: {len(ct)}\n    Total Stripe Count: 1\n" in last
    assert f"    RemoteConnections: tcp:127.0.0.1:{copying.peer.port}\nEnd\nsuccess: Created\n" in last
    assert await copying.original(f"{place}/f") == ct


async def _fewer(talk: Talk, ct: bytes) -> None:
    await talk.say(f"HTTP/1.1 200 OK\r\nContent-Length: {len(ct)}\r\n\r\n")
    if talk.asked.method == "GET":
        await talk.say(ct[:-1000])
        talk.cut()


def lies(ct: bytes) -> dict[str, Behaviour]:
    async def cut(talk: Talk) -> None:
        await _fewer(talk, ct)

    async def cut_chunked(talk: Talk) -> None:
        await talk.say("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        await talk.say(f"{len(ct):x}\r\n".encode() + ct + b"\r\n")
        talk.cut()

    async def closed_politely(talk: Talk) -> None:
        await talk.say(f"HTTP/1.1 200 OK\r\nContent-Length: {len(ct) + 1}\r\n\r\n")
        await talk.say(ct if talk.asked.method == "GET" else b"")

    async def later_500(talk: Talk) -> None:
        if talk.asked.method == "HEAD":
            await talk.answer(200, ct)
        else:
            await talk.answer(500, b"secret words of the source")

    async def shorter_than_head_told(talk: Talk) -> None:
        await talk.answer(200, ct if talk.asked.method == "HEAD" else ct[:-2])

    async def no_end(talk: Talk) -> None:
        await talk.say("HTTP/1.1 200 OK\r\n\r\n")
        await talk.say(ct if talk.asked.method == "GET" else b"")

    async def partial(talk: Talk) -> None:
        await talk.answer(206, ct, Content_Range=f"bytes 0-{len(ct) - 1}/{2 * len(ct)}")

    async def two_lengths(talk: Talk) -> None:
        await talk.say(f"HTTP/1.1 200 OK\r\nContent-Length: 3\r\nContent-Length: {len(ct)}\r\n\r\n")
        await talk.say(ct if talk.asked.method == "GET" else b"")

    return {
        "cut": cut,
        "cut-chunked": cut_chunked,
        "closed-politely": closed_politely,
        "late-500": later_500,
        "shorter": shorter_than_head_told,
        "no-end": no_end,
        "partial": partial,
        "two-lengths": two_lengths,
        "adler32": gives(ct, Digest="adler32=00000001"),
        "md5": gives(ct, Digest=f"md5={md5(b'other')}"),
        "content-md5": gives(ct, Content_MD5=md5(b"other")),
        "sha-256": gives(ct, Repr_Digest=f"sha-256=:{base64.b64encode(bytes(32)).decode()}:"),
        "no-digest": gives(ct, Digest="adler32=nonsense"),
        "empty": gives(b""),
        "too-large": gives(ct, Content_Length=str(LARGEST + 1)),
        "endless-length": gives(ct, Content_Length="9" * 40),
        "gzip": gives(ct, Content_Encoding="gzip"),
        "404": gives(ct),
        "not-dicom": gives(b"<html>Please log in</html>" * 20),
        "garbage": lambda talk: talk.say(b"\x15\x03\x01 no HTTP\r\n\r\n"),
        "headers": lambda talk: _endless(talk, "HTTP/1.1 200 OK\r\n", "X-More: x\r\n"),
        "line": lambda talk: _endless(talk, "HTTP/1.1 200 OK\r\nX: ", "x" * 1000),
    }


async def _endless(talk: Talk, first: str, more: str) -> None:
    await talk.say(first)
    while True:
        await talk.say(more * 100)


LIES = tuple(lies(b""))


@pytest.mark.parametrize("lie", LIES)
async def test_a_source_that_lies_leaves_nothing_and_the_name_is_free(
    copying: Copying, place: str, ct: bytes, lie: str
) -> None:
    path = f"/lie/{lie}"
    copying.peer.on[path] = lies(ct)[lie] if lie != "404" else _gone
    why = await copying.failed(f"{place}/f", Source=copying.peer.url(path))
    assert "secret" not in why
    assert "unexpected" not in why
    assert not await copying.exists(f"{place}/f")
    copying.peer.on["/well"] = gives(ct)
    await copying.done(f"{place}/f", Source=copying.peer.url("/well"), Overwrite="F")


async def test_a_source_that_does_not_end_is_left_where_the_file_should(
    copying: Copying, place: str, ct: bytes
) -> None:
    async def endless(talk: Talk) -> None:
        if talk.asked.method == "HEAD":
            await talk.answer(200, ct)
            return
        await talk.say("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        while True:
            await talk.say(f"{len(ct):x}\r\n".encode() + ct + b"\r\n")

    copying.peer.on["/endless"] = endless
    why = await copying.failed(f"{place}/f", Source=copying.peer.url("/endless"))
    assert why == "more came than the source had told"
    assert not await copying.exists(f"{place}/f")


async def _gone(talk: Talk) -> None:
    await talk.answer(404)


async def test_every_digest_that_a_source_tells_is_compared_and_right_ones_pass(
    copying: Copying, place: str, ct: bytes
) -> None:
    sha = base64.b64encode(hashlib.sha256(ct).digest()).decode()
    copying.peer.on["/told"] = gives(
        ct,
        Digest=f"{adler(ct)},md5={md5(ct)}",
        Repr_Digest=f"sha-256=:{sha}:",
        Content_MD5=md5(ct),
    )
    await copying.done(f"{place}/f", Source=copying.peer.url("/told"), RequireChecksumVerification="true")


async def test_a_required_digest_must_be_told(copying: Copying, place: str, ct: bytes) -> None:
    copying.peer.on["/untold"] = gives(ct)
    source = copying.peer.url("/untold")
    why = await copying.failed(f"{place}/f", Source=source, RequireChecksumVerification="true")
    assert "digest" in why
    assert not await copying.exists(f"{place}/f")
    await copying.done(f"{place}/f", Source=source, RequireChecksumVerification="false")


async def test_an_existing_file_is_overwritten_only_where_that_is_asked_for(
    copying: Copying, place: str, ct: bytes
) -> None:
    await copying.server.put(f"{place}/f", ct)
    other = ct[:-2] + b"\0\1"
    copying.peer.on["/new"] = gives(other)
    source = copying.peer.url("/new")
    before = len(copying.peer.asked)
    status, _ = await copying.copy(f"{place}/f", Source=source, Overwrite="F")
    assert (status, len(copying.peer.asked)) == (412, before)
    assert await copying.original(f"{place}/f") == ct
    await copying.done(f"{place}/f", Source=source, Overwrite="T")
    assert await copying.original(f"{place}/f") == other


async def test_a_failed_overwrite_leaves_the_old_file(copying: Copying, place: str, ct: bytes) -> None:
    await copying.server.put(f"{place}/f", ct)
    copying.peer.on["/torn"] = lies(ct[:-2] + b"\0\1")["cut"]
    await copying.failed(f"{place}/f", Source=copying.peer.url("/torn"))
    assert await copying.original(f"{place}/f") == ct


async def test_who_may_not_write_makes_nobody_ask_the_source(copying: Copying, place: str) -> None:
    token = await copying.server.token("rlx", place)
    before = len(copying.peer.asked)
    status, text = await copying.copy(f"{place}/f", token=token, Source=copying.peer.url("/any"))
    assert (status, len(copying.peer.asked)) == (403, before), text


@pytest.mark.usefixtures("hasty")
async def test_a_source_that_never_answers_is_given_up(copying: Copying, place: str) -> None:
    copying.peer.on["/silent"] = Talk.for_ever
    why = await copying.failed(f"{place}/f", Source=copying.peer.url("/silent"))
    assert why == "the other server did not go on in time"
    await until(lambda: copying.peer.open == 0)


@pytest.mark.usefixtures("hasty")
async def test_a_source_that_trickles_is_given_up(copying: Copying, place: str, ct: bytes) -> None:
    async def trickle(talk: Talk) -> None:
        await talk.say(f"HTTP/1.1 200 OK\r\nContent-Length: {len(ct)}\r\n\r\n")
        for byte in ct:
            await talk.say(bytes([byte]))
            await asyncio.sleep(0.05)  # the slowness

    copying.peer.on["/slow"] = trickle
    why = await copying.failed(f"{place}/f", Source=copying.peer.url("/slow"))
    assert why == "the other server did not go on in time"


async def test_a_client_that_goes_away_ends_its_copy_and_the_name_is_free(
    copying: Copying, place: str, ct: bytes
) -> None:
    async def half(talk: Talk) -> None:
        await talk.say(f"HTTP/1.1 200 OK\r\nContent-Length: {len(ct)}\r\n\r\n")
        if talk.asked.method == "GET":
            await talk.say(ct[:1000])
            await talk.for_ever()

    server = copying.server
    copies = copying.copies
    copying.peer.on["/half"] = half
    headers = {"Source": copying.peer.url("/half"), "Authorization": f"Bearer {server.admin_token}"}
    async with aiohttp.ClientSession() as session:
        answer = await session.request("COPY", f"{server.url}/dav{place}/f", headers=headers)
        assert answer.status == 202
        await answer.content.readline()
        answer.close()
    await until(lambda: copying.peer.open == 0 and copies.running.used == 0)
    assert not await copying.exists(f"{place}/f")
    copying.peer.on["/half"] = gives(ct)
    await copying.done(f"{place}/f", Source=copying.peer.url("/half"), Overwrite="F")


async def test_a_copy_ends_when_its_token_is_revoked(copying: Copying, place: str, ct: bytes) -> None:
    revoked = asyncio.Event()

    async def waits(talk: Talk) -> None:
        await talk.say(f"HTTP/1.1 200 OK\r\nContent-Length: {len(ct)}\r\n\r\n")
        if talk.asked.method == "GET":
            await talk.say(ct[:1000])
            async with server.http.delete(
                f"{server.url}/admin/v1/tokens/reader",
                headers={"Authorization": f"Bearer {server.admin_token}"},
            ) as answer:
                assert answer.status in (200, 204), await answer.text()
            revoked.set()
            await talk.for_ever()

    server = copying.server
    token = await server.token("wlx", place, name="reader")
    copying.peer.on["/revoked"] = waits
    why = await copying.failed(f"{place}/f", token=token, Source=copying.peer.url("/revoked"))
    assert revoked.is_set()
    assert "right" in why
    assert not await copying.exists(f"{place}/f")
