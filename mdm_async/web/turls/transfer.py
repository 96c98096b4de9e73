"""Transfer URLs: GET, HEAD and PUT of /t/<token>/<name>. The token is the credential; nothing else is asked for."""

import asyncio
import base64
import re
from collections.abc import AsyncGenerator, AsyncIterator, Iterator
from contextlib import aclosing, suppress

import orjson
from aiohttp import web

from mdm_async.auditing.reads import Reading
from mdm_async.blobs.store import BlobReader
from mdm_async.catalog.grants.grants import Grant
from mdm_async.errors import MdmError, NotSupported, TooLarge, TooManyRequests, Truncated
from mdm_async.images.metrics import BYTES_IN, CLEAR_OUT, SEALED_OUT, TRANSFERS_IN
from mdm_async.images.parts import adler
from mdm_async.images.reading import stream
from mdm_async.images.reading.sealed import BlobSlice
from mdm_async.images.transfers import arrival
from mdm_async.images.transfers.warm import WarmTurl
from mdm_async.web.http import problem, ranges, sendfile
from mdm_async.web.http.channel import demand_secure, is_secure, source_of
from mdm_async.web.http.house import HOUSE, House
from mdm_async.web.http.pace import Pace

PATH = "/t/{token}/{name}"
_GRANT = web.RequestKey("grant", Grant)


def routes() -> list[web.AbstractRouteDef]:
    return [
        web.get(PATH, read, allow_head=False),
        web.head(PATH, read),
        web.put(PATH, write, expect_handler=expect_continue),
    ]


async def read(request: web.Request) -> web.StreamResponse:
    """The view's bytes, or those of its sealed stream: whole, a range, several ranges (RFC 9110 §13, §14)."""
    house = request.app[HOUSE]
    if house.draining:
        raise TooManyRequests("the server is shutting down", retry_after=10)
    live = await house.warm.open(request.match_info["token"])
    if live.sealed is None:
        demand_secure(request)
    served = live.served
    headers = {
        "ETag": served.etag,
        "Accept-Ranges": "bytes",
        "Cache-Control": "no-store",
        "X-Content-Type-Options": "nosniff",
        **_digests(request, live),
    }
    asked = request.headers
    if "If-Match" in asked and not ranges.matches(asked.getall("If-Match"), served.etag, weak=False):
        return web.Response(status=412, headers=headers)
    if ranges.matches(asked.getall("If-None-Match", ()), served.etag, weak=True):
        return web.Response(status=304, headers=headers)
    kind = "application/octet-stream" if live.sealed is not None else "application/dicom"
    spans = None
    if request.method == "GET" and ranges.range_applies(asked.get("If-Range"), served.etag):
        try:
            spans = ranges.parse(asked.get("Range"), served.size)
        except ranges.Unsatisfiable:
            return web.Response(status=416, headers=headers | {"Content-Range": f"bytes */{served.size}"})
    if spans is None:
        return await _send(request, live, 200, headers | {"Content-Type": kind}, [(b"", 0, served.size)], b"")
    if len(spans) == 1:
        (span,) = spans
        headers |= {"Content-Type": kind, "Content-Range": span.content_range}
        return await _send(request, live, 206, headers, [(b"", span.start, span.stop)], b"")
    boundary = served.etag.strip('"')
    parts = [
        (
            f"\r\n--{boundary}\r\nContent-Type: {kind}\r\nContent-Range: {span.content_range}\r\n\r\n".encode(),
            span.start,
            span.stop,
        )
        for span in spans
    ]
    headers["Content-Type"] = f"multipart/byteranges; boundary={boundary}"
    return await _send(request, live, 206, headers, parts, f"\r\n--{boundary}--\r\n".encode())


async def _send(
    request: web.Request,
    live: WarmTurl,
    status: int,
    headers: dict[str, str],
    parts: list[tuple[bytes, int, int]],
    end: bytes,
) -> web.StreamResponse:
    """Send each part's preface and bytes, then `end`. Content-Length is always exact."""
    answer = web.StreamResponse(status=status, headers=headers)
    answer.content_length = sum(len(preface) + stop - start for preface, start, stop in parts) + len(end)
    if request.method == "HEAD":
        await answer.prepare(request)
        return answer
    house = request.app[HOUSE]
    transport = request.transport
    if transport is None:
        raise ConnectionResetError("the client has gone")
    with house.admission.sending(live, transport.abort), Pace(transport, _slowest(house)) as pace:
        async with (
            house.reads.reading(live, source_of(request)) as reading,
            aclosing(_pieces(house, live, parts, end)) as pieces,
        ):
            # Opened before the status is sent: what cannot be read is an error, not a cut connection.
            first = await anext(pieces)
            # What aiohttp writes leaves in one packet with its headers; what sendfile sends comes after them.
            answer._send_headers_immediately = isinstance(first, BlobSlice)
            await answer.prepare(request)
            try:
                await _send_piece(request, answer, live, first, pace, reading)
                async for piece in pieces:
                    await _send_piece(request, answer, live, piece, pace, reading)
                await answer.write_eof()
            except ConnectionError:
                raise
            except Exception as error:
                # The status is out: only a cut connection tells the client that bytes are missing.
                problem.log(error)
                transport.abort()
                raise ConnectionResetError("the transfer broke off") from error
    return answer


def _slowest(house: House) -> int:
    return house.archive.settings.transfers.slowest


async def _pieces(
    house: House, live: WarmTurl, parts: list[tuple[bytes, int, int]], end: bytes
) -> AsyncGenerator[bytes | memoryview | BlobSlice, None]:
    for preface, start, stop in parts:
        async with aclosing(_bytes(house, live, start, stop)) as found:
            first = await anext(found)
            if preface:
                yield preface
            yield first
            async for piece in found:
                yield piece
    if end:
        yield end


def _bytes(
    house: House, live: WarmTurl, start: int, stop: int
) -> AsyncGenerator[memoryview | BlobSlice, None]:
    if live.sealed is not None:
        return _as_async(live.sealed.slices(start, stop))
    assert live.clear is not None
    return stream.clear(house.archive.blobs, live.clear, start, stop)


async def _as_async(pieces: Iterator[memoryview | BlobSlice]) -> AsyncGenerator[memoryview | BlobSlice, None]:
    for piece in pieces:
        yield piece


async def _send_piece(
    request: web.Request,
    answer: web.StreamResponse,
    live: WarmTurl,
    piece: bytes | memoryview | BlobSlice,
    pace: Pace,
    reading: Reading,
) -> None:
    delivered = CLEAR_OUT if live.sealed is None else SEALED_OUT
    if isinstance(piece, BlobSlice):
        async for size in _send_slice(request.app[HOUSE], request, answer, piece):
            _demand_going(request, live)
            delivered.inc(size)
            pace.sent(size)
            reading.bytes += size
    else:
        _demand_going(request, live)
        await answer.write(piece)
        delivered.inc(len(piece))
        pace.sent(len(piece))
        reading.bytes += len(piece)


def _demand_going(request: web.Request, live: WarmTurl) -> None:
    """A transfer that was released, revoked or deleted stops where it is; the client sees too few bytes."""
    if live.ended:
        if request.transport is not None:
            request.transport.abort()
        raise ConnectionResetError("the transfer was ended")


async def _send_slice(
    house: House, request: web.Request, answer: web.StreamResponse, piece: BlobSlice
) -> AsyncIterator[int]:
    """A blob's bytes as they lie: by sendfile on plain HTTP, through Python under TLS. Yields before each step."""
    reader = house.archive.blobs.open(piece.blob)
    try:
        out = request.transport
        assert out is not None
        plain = out.get_extra_info("sslcontext") is None
        if plain:
            descriptor = await reader.descriptor()
            await sendfile.flushed(out)
        for offset in range(piece.offset, piece.offset + piece.size, sendfile.STEP):
            size = min(sendfile.STEP, piece.offset + piece.size - offset)
            yield size
            if plain:
                await sendfile.send(out, descriptor, offset, size, house.archive.disk)
            else:
                await answer.write(await _stored(reader, offset, size))
    finally:
        reader.close()


async def _stored(reader: BlobReader, offset: int, size: int) -> bytes:
    return await reader.apply(offset, size, bytes)


def _digests(request: web.Request, live: WarmTurl) -> dict[str, str]:
    """Digest (RFC 3230): ADLER32 always, it costs nothing; SHA-256 where it is known and asked for."""
    found = [f"adler32={adler.text(live.served.adler32)}"]
    headers = {}
    known = live.clear.sha256 if live.clear is not None else None
    if known is not None:
        encoded = base64.b64encode(bytes.fromhex(known)).decode()
        if re.search(r"\bsha-256\b", request.headers.get("Want-Digest", ""), re.IGNORECASE):
            found.append(f"sha-256={encoded}")
        if re.search(r"\bsha-256\b", request.headers.get("Want-Repr-Digest", ""), re.IGNORECASE):
            headers["Repr-Digest"] = f"sha-256=:{encoded}:"
    return headers | {"Digest": ",".join(found)}


async def expect_continue(request: web.Request) -> web.Response | None:
    """Expect: 100-continue (RFC 9110 §10.1.1): a file that cannot be taken is refused before it is sent."""
    if request.headers["Expect"].lower() != "100-continue":
        return _without_body(web.Response(status=417))
    try:
        request[_GRANT] = await _admitted(request)
    except MdmError as error:
        # The middleware comes after this.
        problem.log(error)
        problem.note(request, [error])
        return _without_body(problem.response(error, request))
    await request.writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
    # What was written is no part of the answer; aiohttp counts it otherwise.
    request.writer.output_size = 0
    return None


def _without_body(answer: web.Response) -> web.Response:
    """The client may send the body or not, so what follows on this connection cannot be told apart."""
    answer.force_close()
    return answer


async def _admitted(request: web.Request) -> Grant:
    """The grant to take a file under, as far as can be told without its bytes."""
    house = request.app[HOUSE]
    if "Content-Range" in request.headers:
        raise NotSupported("uploads in pieces are not supported", remedy="PUT the whole file")
    if request.headers.get("Content-Encoding", "identity").lower() != "identity":
        raise NotSupported("content encodings are not supported", remedy="PUT the file as it is")
    if house.draining:
        raise TooManyRequests("the server is shutting down", retry_after=10)
    if (request.content_length or 0) > house.archive.settings.transfers.max_upload:
        raise TooLarge(f"an upload may have {house.archive.settings.transfers.max_upload} bytes at the most")
    return await arrival.open_upload(house.judge, request.match_info["token"])


async def write(request: web.Request) -> web.StreamResponse:
    """Take a file: 201 with size and ADLER32 of what arrived (unsealed)."""
    house = request.app[HOUSE]
    grant = request.get(_GRANT) or await _admitted(request)
    transport = request.transport
    if transport is None:
        raise ConnectionResetError("the client has gone")
    with TRANSFERS_IN.track_inprogress(), house.admission.taking(grant, transport.abort):
        try:
            received = await arrival.receive(
                house.intake,
                grant,
                _body(request),
                length=request.content_length,
                secure=is_secure(request),
                source=source_of(request),
            )
        except (web.RequestPayloadError, ConnectionError) as gone:
            raise Truncated("the upload broke off", remedy="upload it again") from gone
    checksum = adler.text(received.adler32)
    return web.Response(
        status=201,
        body=orjson.dumps({"size": received.size, "adler32": checksum}),
        content_type="application/json",
        headers={"Digest": f"adler32={checksum}", "Cache-Control": "no-store"},
    )


async def _body(request: web.Request) -> AsyncIterator[bytes]:
    counted = BYTES_IN
    with suppress(asyncio.IncompleteReadError):
        async for chunk in request.content.iter_any():
            counted.inc(len(chunk))
            yield chunk
