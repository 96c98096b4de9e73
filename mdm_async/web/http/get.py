"""GET and HEAD of a representation (RFC 9110 §13, §14): preconditions, ranges, digests. Every face answers with it."""

from collections.abc import Collection, Mapping

from aiohttp import web

from mdm_async.auditing.reads import Read
from mdm_async.errors import TooManyRequests
from mdm_async.images.parts.hashing import ADLER32
from mdm_async.images.reading.representation import ClearView, Representation
from mdm_async.images.reading.sent import sent_of
from mdm_async.images.reading.view import ReadyView
from mdm_async.images.transfers.warm import WarmTurl
from mdm_async.names import Payer
from mdm_async.web.http import digest_fields, ranges
from mdm_async.web.http.channel import demand_secure, is_secure, source_of
from mdm_async.web.http.house import HOUSE
from mdm_async.web.http.sending import Body, Section, send, telling_damage


async def give(request: web.Request, warm: WarmTurl, writers: Collection[str]) -> web.StreamResponse:
    """As `get`, of what a face has opened; HEAD tells its writer, for a while, of the file that was sent;
    `writers`: as whom who asks may have written it.

    Not where a sealed stream was prepared: what is told with its URL is of that stream.
    """
    sent, house = None, request.app[HOUSE]
    prepared = warm.served.sealed and warm.grant.kept
    if request.method == "HEAD" and is_secure(request) and not prepared:
        sent = await sent_of(house.database, house.shelf, warm.grant, writers)
    about = ClearView(sent, house.blobs) if sent is not None else None
    return await get(request, warm.served, warm.read, about)


async def tell_sent(request: web.Request, sent: ReadyView, payer: Payer) -> web.StreamResponse:
    """HEAD of what is not served: to its writer, of the file that was sent."""
    about = ClearView(sent, request.app[HOUSE].blobs)
    headers = {"Cache-Control": "no-store", "Content-Type": about.media_type}
    answer = web.StreamResponse(headers=headers | await _digests(request, about, payer))
    answer.content_length = about.size
    await answer.prepare(request)
    return answer


async def get(
    request: web.Request, served: Representation, read: Read, about: Representation | None = None
) -> web.StreamResponse:
    """The whole of it, a range, several ranges, or their headers alone; `read` is for the audit. `about`: what HEAD
    tells the length and digests of, if not of that.

    Raises InsecureChannel, TooManyRequests, Gone, Damaged and Unavailable, all before the status is sent.
    """
    if request.app[HOUSE].draining:
        raise TooManyRequests("the server is shutting down", retry_after=10)
    if not served.sealed:
        demand_secure(request)
    headers = fields_of(served)
    asked = request.headers
    if "If-Match" in asked and not ranges.matches(asked.getall("If-Match"), served.etag, weak=False):
        return web.Response(status=412, headers=headers)
    if ranges.matches(asked.getall("If-None-Match", ()), served.etag, weak=True):
        return web.Response(status=304, headers=headers)
    try:
        status, kind, body = _chosen(request, served)
    except ranges.Unsatisfiable:
        return web.Response(status=416, headers=headers | {"Content-Range": f"bytes */{served.size}"})
    payer = Payer.of(read.caller, read.owner, source_of(request))
    headers |= await _digests(request, about or served, payer)
    answer = web.StreamResponse(status=status, headers=headers | kind)
    answer.content_length = about.size if about is not None else body.size
    if request.method == "HEAD":
        # What a GET would not give is not promised.
        async with telling_damage(read), served.open([(0, served.size)], files=False):
            pass
        await answer.prepare(request)
    else:
        await send(request, answer, served, read, body)
    return answer


def fields_of(served: Representation) -> dict[str, str]:
    """The header fields of each answer about it."""
    return {
        "ETag": served.etag,
        "Accept-Ranges": "bytes",
        "Cache-Control": "no-store",
        "X-Content-Type-Options": "nosniff",
        "Digest": digest_fields.digest(_adler32(served)),
    }


def _chosen(request: web.Request, served: Representation) -> tuple[int, dict[str, str], Body]:
    """Status, headers and body of what is asked for. Raises Unsatisfiable."""
    spans = None
    if request.method == "GET" and ranges.range_applies(request.headers.get("If-Range"), served.etag):
        most = request.app[HOUSE].settings.limits.ranges
        spans = ranges.parse(request.headers.get("Range"), served.size, most)
    kind = {"Content-Type": served.media_type}
    if spans is None:
        return 200, kind, Body([Section(0, served.size)])
    if len(spans) == 1:
        (span,) = spans
        return 206, kind | {"Content-Range": span.content_range}, Body([Section(span.start, span.stop)])
    boundary = served.etag.strip('"')
    sections = [
        Section(
            span.start,
            span.stop,
            f"\r\n--{boundary}\r\nContent-Type: {served.media_type}\r\n"
            f"Content-Range: {span.content_range}\r\n\r\n".encode(),
        )
        for span in spans
    ]
    kind = {"Content-Type": f"multipart/byteranges; boundary={boundary}"}
    return 206, kind, Body(sections, f"\r\n--{boundary}--\r\n".encode())


async def _digests(request: web.Request, served: Representation, payer: Payer) -> dict[str, str]:
    """ADLER32 always, it costs nothing; others where they are asked for (RFC 3230, RFC 9530)."""
    wanted = digest_fields.wanted(request, "Want-Digest")
    in_repr = digest_fields.wanted(request, "Want-Repr-Digest")
    found: Mapping[str, bytes] = {}
    if served.plain is not None and (wanted or in_repr):
        found = await request.app[HOUSE].digests.of(served.plain, wanted | in_repr, payer)
    found = {**_adler32(served), **found}
    told = {"Digest": digest_fields.digest({n: v for n, v in found.items() if n in wanted | {ADLER32}})}
    if known := {name: value for name, value in found.items() if name in in_repr}:
        told["Repr-Digest"] = digest_fields.repr_digest(known)
    return told


def _adler32(served: Representation) -> dict[str, bytes]:
    return {ADLER32: served.adler32.to_bytes(4, "big")}
