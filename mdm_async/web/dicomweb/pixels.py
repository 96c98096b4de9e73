"""Frames (PS3.18 §10.4.1.1.4) and values by themselves (§10.4.1.1.5): ranges of a view's bytes, read one by one."""

import re
from collections.abc import Sequence
from typing import Final

from aiohttp import web

from mdm_async.dicom.elements import PIXEL_TAGS
from mdm_async.dicom.pixels.placed import Placed
from mdm_async.dicom.pixels.video.streams import SYNTAXES as VIDEOS
from mdm_async.errors import BadRequest
from mdm_async.images.reading.representation import Source
from mdm_async.images.studies.decoding import size_of
from mdm_async.images.studies.describing import COPIES, MOST_DESCRIBED, beside, bulk_span, weight
from mdm_async.images.studies.frames import Frame, frames_of, pixels_of, stream_of
from mdm_async.images.studies.little_endian import in_little
from mdm_async.images.transfers.warm import WarmTurl
from mdm_async.web.dicomweb import accept
from mdm_async.web.dicomweb.accept import Chosen
from mdm_async.web.dicomweb.address import wanted
from mdm_async.web.dicomweb.decoded import send_decoded
from mdm_async.web.dicomweb.opening import opened, payer_of, rows_of, view_of
from mdm_async.web.dicomweb.parts import HEADERS, Parts
from mdm_async.web.http.credential import caller_of
from mdm_async.web.http.house import HOUSE
from mdm_async.web.http.sending import Body, Section, send, telling_damage

_MOST_FRAMES: Final = 2_000
_PATH: Final = re.compile(r"[0-9A-Fa-f]{8}(?:\.[0-9]{1,6}\.[0-9A-Fa-f]{8}){0,31}")


async def frames(request: web.Request) -> web.StreamResponse:
    """Those whose numbers the URL has, in its order. A video is one stream, which goes by the number 1."""
    numbers = _numbers(request.match_info["frames"])
    warm = await opened_one(request)
    return await _frames(request, warm, await placed_pixels(request, warm), numbers)


async def bulk(request: web.Request) -> web.StreamResponse:
    """One value. Pixels that are encapsulated are told frame by frame, a video as the stream it is."""
    said = request.match_info["where"]
    if _PATH.fullmatch(said) is None:
        raise BadRequest("the URL names no value of an instance")
    path = tuple(int(one, 10 if place % 2 else 16) for place, one in enumerate(said.split(".")))
    warm = await opened_one(request)
    house = request.app[HOUSE]
    if len(path) == 1 and path[0] in PIXEL_TAGS:
        pixels = await placed_pixels(request, warm)
        if pixels.length is None:
            return await _frames(request, warm, pixels, None)
        span, word = (pixels.start, pixels.start + pixels.length), pixels.word
    else:
        view, scrubber = view_of(warm), house.workshop.scrubber
        with house.budget.holding(payer_of(request, warm), weight(view)):
            async with telling_damage(warm.read):
                span, word = await bulk_span(house.blobs, house.cipher, scrubber, view, path)
    source = in_little(warm.served, span, word)
    return await _send(request, warm, source, accept.of_bulk(wanted(request)), [[span]])


async def send_video(request: web.Request, warm: WarmTurl, pixels: Placed) -> web.StreamResponse:
    """As it is stored, which is how it is rendered."""
    chosen = accept.of_video(wanted(request), pixels.transfer_syntax)
    async with telling_damage(warm.read):
        found = await stream_of(request.app[HOUSE].blobs, view_of(warm), pixels)
    return await _send(request, warm, warm.served, chosen, [found])


async def opened_one(request: web.Request) -> WarmTurl:
    """The instance that the URL names."""
    caller = await caller_of(request)
    found = await rows_of(request, caller)
    return await opened(request, caller, found.rows[0])


async def placed_pixels(request: web.Request, warm: WarmTurl, *, begun: bool = False) -> Placed:
    """Where its pixels lie, and what it says of them; `begun`: for an answer that has. Raises as `pixels_of`."""
    house, view = request.app[HOUSE], view_of(warm)
    if (known := house.pixels.of(view)) is None:
        known = await _looked_for(request, warm, begun=begun)
    await house.frames_later.look(house.database, view, known)
    return known


async def _looked_for(request: web.Request, warm: WarmTurl, *, begun: bool) -> Placed:
    house, view = request.app[HOUSE], view_of(warm)
    with house.budget.holding(payer_of(request, warm)) as held:
        await held.hold(COPIES * beside(view), begun=begun)
        async with telling_damage(warm.read):
            found = await pixels_of(house.blobs, house.workshop.scrubber, view, MOST_DESCRIBED, begun=begun)
    house.pixels.keep(view, found)
    return found


async def _frames(
    request: web.Request, warm: WarmTurl, pixels: Placed, numbers: Sequence[int] | None
) -> web.StreamResponse:
    is_stream = pixels.transfer_syntax in VIDEOS and numbers in (None, [1])
    alone = is_stream or (numbers is not None and len(numbers) == 1)
    decodable = size_of(pixels) is not None
    chosen = accept.of_frames(wanted(request), pixels.transfer_syntax, alone=alone, decodable=decodable)
    blobs, view = request.app[HOUSE].blobs, view_of(warm)
    async with telling_damage(warm.read):
        if is_stream:
            found = [await stream_of(blobs, view, pixels)]
        else:
            found = await frames_of(blobs, view, pixels, numbers)
    if decodable and chosen.syntax == accept.EXPLICIT:
        return await send_decoded(request, warm, chosen, pixels, found)
    source = in_little(warm.served, (pixels.start, pixels.end), pixels.word)
    return await _send(request, warm, source, chosen, found)


async def _send(
    request: web.Request, warm: WarmTurl, source: Source, chosen: Chosen, found: Sequence[Frame]
) -> web.StreamResponse:
    parts = Parts(chosen.kind)
    preface = parts.preface(chosen.content_type) if chosen.multipart else b""
    sections = [
        Section(start, stop, b"" if place else preface)
        for frame in found
        for place, (start, stop) in enumerate(frame)
    ]
    body = Body(sections, parts.end if chosen.multipart else b"")
    headers = parts.headers if chosen.multipart else HEADERS | {"Content-Type": chosen.content_type}
    answer = web.StreamResponse(headers=headers)
    answer.content_length = body.size
    if request.method == "HEAD":
        await answer.prepare(request)
        return answer
    await send(request, answer, source, warm.read, body)
    return answer


def _numbers(text: str) -> list[int]:
    """Raises BadRequest."""
    told = text.split(",")
    if len(told) > _MOST_FRAMES or not all(
        one.isascii() and one.isdecimal() and len(one) < 10 for one in told
    ):
        raise BadRequest("the URL names no frames", remedy="write their numbers as 1,2,3")
    return [int(one) for one in told]
