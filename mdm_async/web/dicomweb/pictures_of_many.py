"""Pictures of all instances of a study or a series (PS3.18 §10.4.1.1.3): of each the one that it has by itself, one
part after the other, in constant memory."""

from contextlib import aclosing
from typing import Final

from aiohttp import web

from mdm_async.dicom.pictures.asked import Picture
from mdm_async.errors import Gone, MdmError, NotAcceptable, NotFound, TooLarge
from mdm_async.images.reading.representation import Ending
from mdm_async.images.transfers.warm import WarmTurl
from mdm_async.web.dicomweb import accept, picture_asked
from mdm_async.web.dicomweb.address import wanted
from mdm_async.web.dicomweb.opening import each_opened, opened, payer_of, rows_of
from mdm_async.web.dicomweb.parts import Parts
from mdm_async.web.dicomweb.pictures import drawable, warn
from mdm_async.web.http.channel import source_of
from mdm_async.web.http.credential import caller_of
from mdm_async.web.http.house import HOUSE
from mdm_async.web.http.sending import breaking_off, telling_damage, transport_of

_MOST: Final = 2_000
"""Instances of one answer: each is decoded for it."""


async def rendered_all(request: web.Request) -> web.StreamResponse:
    """What has no pixels, or cannot be drawn, is left out; where that is all, it is told why."""
    caller = await caller_of(request)
    chosen = accept.of_pictures(wanted(request), alone=False)
    asked = picture_asked.rendered(request, chosen.kind)
    rows = (await rows_of(request, caller)).rows
    if len(rows) > _MOST:
        raise TooLarge(
            f"pictures are made of up to {_MOST} instances in one answer",
            remedy="ask for those of a series, or of an instance",
        )
    parts = Parts(chosen.kind)
    answer = web.StreamResponse(headers=parts.headers)
    warn(request, answer)
    if request.method == "HEAD":
        await opened(request, caller, rows[0])
        await answer.prepare(request)
        return answer
    transport = transport_of(request)
    left: MdmError = NotFound("nothing of it has frames")
    with (
        request.app[HOUSE].admission.sending(caller.payer, Ending(), transport.abort),
        breaking_off(answer, transport),
    ):
        async with aclosing(each_opened(request, rows)) as each:
            async for _, warm in each:
                with warm.ending.cutting(transport.abort):
                    try:
                        await _send(request, answer, warm, asked, parts)
                    except NotFound:
                        pass  # It has no pixels; what has some, and cannot be drawn, says more.
                    except (NotAcceptable, TooLarge) as why:
                        left = why
        if not answer.prepared:
            raise left
        await answer.write_eof(parts.end)
    return answer


async def _send(
    request: web.Request, answer: web.StreamResponse, warm: WarmTurl, asked: Picture, parts: Parts
) -> None:
    """One picture. Raises as `drawable` and `picture` before anything of it has left."""
    house, payer = request.app[HOUSE], payer_of(request, warm)
    if warm.ending.ended:
        raise Gone(remedy="ask for it again")
    async with (
        house.reads.reading(warm.read, warm.ending, source_of(request)) as reading,
        telling_damage(warm.read),
    ):
        found = await drawable(request, warm, asked, None, begun=answer.prepared)
        house.budget.demand_possible(payer, found.weight)
        with house.budget.holding(payer) as held:
            await held.hold(found.weight, begun=answer.prepared)
            drawn = await found.draw(house, begun=answer.prepared)
            if not answer.prepared:
                await answer.prepare(request)
            reading.bytes += len(drawn)
            # The memory is held until the client has it.
            await answer.write(parts.preface(parts.kind) + drawn)
