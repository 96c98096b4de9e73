"""The client of an archive: what it takes for an answer, how long it waits, and how much it asks at once."""

import asyncio
import time
import tracemalloc

import pytest
from aiohttp import web

from mdm_async.errors import MdmError, NotFound, PeerFailed, SourceAway, SourceBusy
from mdm_async.images.parts.pacs_source import PacsSource
from mdm_async.pacs.dicomweb.client import DicomWebSource
from mdm_async.settings import PacsSourceSettings
from tests.pacs.sources.fake_archive import Answer, FakeArchive, multipart, never
from tests.patience import PATIENCE

ONE = PacsSource("hospital", "1.2.3", "1.2.3.4", "1.2.3.4.5")
FILE = b"\0" * 128 + b"DICM" + b"a file" * 100_000


def client_of(url: str, patience: float = PATIENCE, **more: object) -> DicomWebSource:
    settings = PacsSourceSettings.model_validate({"name": "hospital", "dicomweb": url} | more)
    return DicomWebSource(settings, 1000, patience=patience, query_seconds=4 * patience)


async def fetched(client: DicomWebSource, source: PacsSource = ONE) -> bytes:
    async with client.instance(source) as chunks:
        return b"".join([chunk async for chunk in chunks])


async def test_an_instance_comes_byte_for_byte_in_the_syntax_in_which_it_is_stored(
    archive: FakeArchive,
) -> None:
    accepted = []

    async def answer(request: web.Request) -> web.StreamResponse:
        accepted.append(request.headers["Accept"])
        return await multipart(request, FILE)

    archive.instead = answer
    async with client_of(archive.url) as client:
        assert await fetched(client) == FILE
    assert accepted == ['multipart/related; type="application/dicom"; transfer-syntax=*']


async def plain(request: web.Request) -> web.StreamResponse:
    return web.Response(body=FILE, content_type="application/dicom")


async def test_an_answer_that_is_the_file_itself_is_taken(archive: FakeArchive) -> None:
    archive.instead = plain
    async with client_of(archive.url) as client:
        assert await fetched(client) == FILE


async def too_short(request: web.Request) -> web.StreamResponse:
    answer = web.StreamResponse()
    answer.content_type, answer.content_length = "application/dicom", len(FILE)
    await answer.prepare(request)
    await answer.write(FILE[:1000])
    assert request.transport is not None
    request.transport.close()
    return answer


async def unended(request: web.Request) -> web.StreamResponse:
    answer = web.StreamResponse(headers={"Content-Type": "multipart/related; boundary=b"})
    await answer.prepare(request)
    await answer.write(b"--b\r\n\r\n" + FILE)
    return answer


async def two(request: web.Request) -> web.StreamResponse:
    return await multipart(request, FILE, FILE)


async def none(request: web.Request) -> web.StreamResponse:
    return await multipart(request)


async def unending(request: web.Request) -> web.StreamResponse:
    answer = web.StreamResponse(headers={"Content-Type": "multipart/related; boundary=b"})
    await answer.prepare(request)
    await answer.write(b"--b\r\n\r\n" + FILE + b"\r\n--b--")
    while True:
        await answer.write(b"x" * 65536)


async def dripping(request: web.Request) -> web.StreamResponse:
    answer = web.StreamResponse()
    answer.content_type = "application/dicom"
    await answer.prepare(request)
    while True:
        await answer.write(b"x")
        await asyncio.sleep(0.1)


def answering(status: int, **headers: str):
    async def answer(_: web.Request) -> web.StreamResponse:
        return web.Response(status=status, headers=headers, text="of Zebedaeus")

    return answer


@pytest.mark.parametrize(
    ("instead", "error"),
    [
        (too_short, SourceAway),
        (unended, PeerFailed),
        (two, PeerFailed),
        (none, PeerFailed),
        (never, SourceAway),
        (dripping, SourceAway),
        (unending, PeerFailed),
        (answering(200, **{"Content-Type": "text/html"}), PeerFailed),
        (answering(302, Location="http://elsewhere.example.org/"), PeerFailed),
        (answering(401), SourceAway),
        (answering(404), NotFound),
        (answering(406), PeerFailed),
        (answering(429), SourceBusy),
        (answering(500), PeerFailed),
        (answering(503), SourceBusy),
    ],
)
async def test_what_is_no_good_answer_is_told_apart_and_quotes_nobody(
    archive: FakeArchive, instead, error: type[MdmError]
) -> None:
    archive.instead = instead
    async with client_of(archive.url, 0.5 if instead in (never, dripping) else PATIENCE) as client:
        async with asyncio.timeout(PATIENCE):
            with pytest.raises(error) as failed:
                await fetched(client)
    for word in ("Zebedaeus", ONE.study, "127.0.0.1"):
        assert word not in str(failed.value)


async def test_an_archive_that_fails_at_queries_too_is_away(archive: FakeArchive) -> None:
    archive.instead = archive.told = answering(500)
    async with client_of(archive.url, max_associations=1) as client:
        with pytest.raises(SourceAway):
            await fetched(client)


async def unended_query(request: web.Request) -> web.StreamResponse:
    """At a pace that is kept."""
    answer = web.StreamResponse(headers={"Content-Type": "application/dicom+json"})
    await answer.prepare(request)
    await answer.write(b"[")
    while True:
        await answer.write(b" " * 1000)
        await asyncio.sleep(0.1)


def saying(said: bytes):
    async def answer(_: web.Request) -> web.StreamResponse:
        return web.Response(body=said, content_type="application/dicom+json")

    return answer


@pytest.mark.parametrize(
    ("told", "error"),
    [
        (unended_query, SourceAway),
        (saying(b"[" + b"{}," * 10 + b"{}]"), PeerFailed),
        (saying(b"[" + b'{"00080005":{"vr":"CS"}},' * 20_000 + b"{}]"), PeerFailed),
        (saying(b"[" + b" " * (1 << 20) + b"]"), PeerFailed),
        (saying(b"["), PeerFailed),
        (saying(b"[1]"), PeerFailed),
        (saying(b"[" * 100_000), PeerFailed),
    ],
)
async def test_no_more_is_taken_for_an_answer_than_was_asked_for(
    archive: FakeArchive, told: Answer, error: type[MdmError]
) -> None:
    archive.told = told
    async with client_of(archive.url, 0.5 if told is unended_query else PATIENCE) as client:
        async with asyncio.timeout(PATIENCE):
            with pytest.raises(error):
                await client.query("studies", [], offset=0, limit=10)


async def test_values_without_end_are_refused_before_they_take_memory(archive: FakeArchive) -> None:
    archive.told = saying(b"[" + b"{}," * 2_000_000 + b"{}]")
    async with client_of(archive.url) as client:
        tracemalloc.start()
        try:
            with pytest.raises(PeerFailed):
                await client.query("studies", [], offset=0, limit=500)
            assert tracemalloc.get_traced_memory()[1] < 60 << 20
        finally:
            tracemalloc.stop()


async def test_what_looks_like_a_boundary_comes_in_large_pieces_all_the_same(archive: FakeArchive) -> None:
    file = b"\r\n--bx" * 200_000

    async def answer(request: web.Request) -> web.StreamResponse:
        return await multipart(request, file, boundary="b")

    archive.instead = answer
    async with client_of(archive.url) as client, client.instance(ONE) as chunks:
        pieces = [chunk async for chunk in chunks]
    assert b"".join(pieces) == file
    assert all(len(piece) >= 65536 for piece in pieces[:-1])


@pytest.mark.parametrize(
    ("said", "seconds"),
    [
        ("7", 7),
        ("99999999999", 3600),
        ("Wed, 21 Oct 2015 07:28:00 GMT", 0),
        ("Fri, 31 Dec 2999 23:59:59 GMT", 3600),
        ("soon", None),
        ("-5", None),
        ("٣", None),
        ("", None),
    ],
)
async def test_how_long_a_busy_archive_is_to_be_left_alone_it_says_itself(
    archive: FakeArchive, said: str, seconds: int | None
) -> None:
    archive.instead = answering(503, **{"Retry-After": said})
    async with client_of(archive.url) as client:
        with pytest.raises(SourceBusy) as failed:
            await fetched(client)
    assert failed.value.retry_after == seconds


async def test_why_an_archive_cannot_be_reached_is_told(unused_tcp_port: int) -> None:
    for host, why in ((f"127.0.0.1:{unused_tcp_port}", "refuses"), ("archive.invalid", "DNS")):
        async with client_of(f"http://{host}/dicom-web", plain=True) as client:
            with pytest.raises(SourceAway, match=f"cannot be reached: .*{why}"):
                await client.echo()


async def test_an_archive_that_does_not_speak_tls_is_told_apart(archive: FakeArchive) -> None:
    async with client_of(archive.url.replace("http:", "https:")) as client:
        with pytest.raises(SourceAway, match="TLS"):
            await client.echo()


async def test_no_more_is_asked_at_once_than_is_allowed(archive: FakeArchive) -> None:
    async def slowly(request: web.Request) -> web.StreamResponse:
        await asyncio.sleep(0.02)
        return await multipart(request, FILE)

    archive.instead = slowly
    async with client_of(archive.url, max_associations=3) as client:
        await asyncio.gather(*(fetched(client) for _ in range(12)))
    assert archive.most == 3


async def test_no_more_is_asked_in_a_second_than_is_allowed(archive: FakeArchive) -> None:
    async with client_of(archive.url, max_rate=50) as client:
        begun = time.monotonic()
        await asyncio.gather(*(client.echo() for _ in range(11)))
        assert time.monotonic() - begun >= 10 / 50


async def test_the_token_is_shown_to_the_archive_and_to_nobody_it_redirects_to(archive: FakeArchive) -> None:
    shown = []

    async def redirected(request: web.Request) -> web.StreamResponse:
        shown.append(request.headers.get("Authorization"))
        return web.Response(status=302, headers={"Location": f"{archive.url}/elsewhere/instances/1"})

    archive.instead = redirected
    async with client_of(archive.url, token="s3cret") as client:
        with pytest.raises(PeerFailed):
            await fetched(client)
    assert shown == ["Bearer s3cret"]
