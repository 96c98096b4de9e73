"""Frames that leave as others than they are stored: decoded, one after the other."""

from collections.abc import Sequence
from contextlib import aclosing

from aiohttp import web

from mdm_async.dicom.pixels.placed import Placed
from mdm_async.errors import Gone
from mdm_async.images.studies.decoding import decoded, size_of, weight
from mdm_async.images.studies.frames import Frame
from mdm_async.images.transfers.warm import WarmTurl
from mdm_async.web.dicomweb.accept import Chosen
from mdm_async.web.dicomweb.opening import payer_of, view_of
from mdm_async.web.dicomweb.parts import HEADERS, Parts
from mdm_async.web.http.channel import source_of
from mdm_async.web.http.house import HOUSE
from mdm_async.web.http.sending import breaking_off, telling_damage, transport_of


async def send_decoded(
    request: web.Request, warm: WarmTurl, chosen: Chosen, pixels: Placed, frames: Sequence[Frame]
) -> web.StreamResponse:
    house, view, payer = request.app[HOUSE], view_of(warm), payer_of(request, warm)
    size = size_of(pixels)
    assert size is not None
    parts = Parts(chosen.kind)
    preface, end = (parts.preface(chosen.content_type), parts.end) if chosen.multipart else (b"", b"")
    headers = parts.headers if chosen.multipart else HEADERS | {"Content-Type": chosen.content_type}
    answer = web.StreamResponse(headers=headers)
    answer.content_length = len(frames) * (len(preface) + size) + len(end)
    if request.method == "HEAD":
        await answer.prepare(request)
        return answer
    if warm.ending.ended:
        raise Gone(remedy="ask for it again")
    transport = transport_of(request)
    most = weight(size, frames)
    house.budget.demand_possible(payer, most)
    with (
        house.admission.sending(payer, warm.ending, transport.abort),
        house.budget.holding(payer, most),
        breaking_off(answer, transport),
    ):
        async with (
            house.reads.reading(warm.read, warm.ending, source_of(request)) as reading,
            telling_damage(warm.read),
            aclosing(decoded(house.blobs, house.workshop.scrubber, view, pixels, frames)) as native,
        ):
            async for frame in native:
                if not answer.prepared:
                    await answer.prepare(request)
                reading.bytes += len(frame)
                await answer.write(preface + frame)
        await answer.write_eof(end)
    return answer
