"""WADO-RS metadata (PS3.18 §10.4.1.1.3): what instances say beside their pixels, one instance after the other."""

from contextlib import aclosing

from aiohttp import web

from mdm_async.catalog.metadata.studies import Row
from mdm_async.images.budget import Held
from mdm_async.images.reading.representation import Ending
from mdm_async.images.studies.describing import demand_describable, described, weight
from mdm_async.images.studies.retrieving import Retrieved
from mdm_async.images.transfers.warm import WarmTurl
from mdm_async.names import Caller
from mdm_async.web.dicomweb import accept
from mdm_async.web.dicomweb.address import base_of, wanted
from mdm_async.web.dicomweb.asked import named
from mdm_async.web.dicomweb.opening import each_opened, opened, rows_of, view_of
from mdm_async.web.dicomweb.parts import HEADERS
from mdm_async.web.http.channel import source_of
from mdm_async.web.http.credential import caller_of
from mdm_async.web.http.house import HOUSE
from mdm_async.web.http.sending import breaking_off, telling_damage, transport_of

_SEVERAL = 4 << 20
"""Bytes that any of several takes whose head is so small that it stands in the catalog."""


async def metadata(request: web.Request) -> web.StreamResponse:
    caller = await caller_of(request)
    accept.demand_json(wanted(request))
    found = await rows_of(request, caller)
    most = await _most(request, caller, found)
    about = named(request)
    base = base_of(request, about)
    answer = web.StreamResponse(headers=HEADERS | {"Content-Type": accept.JSON})
    if request.method == "HEAD":
        await answer.prepare(request)
        return answer
    house, transport = request.app[HOUSE], transport_of(request)
    with (
        house.admission.sending(caller.payer, Ending(), transport.abort),
        house.budget.holding(caller.payer, most) as held,
        breaking_off(answer, transport),
    ):
        begin = b"["
        async with aclosing(each_opened(request, found.rows)) as each:
            async for row, warm in each:
                with warm.ending.cutting(transport.abort):
                    told = await _told(
                        request, held, warm, _bulk(base, row, about.end), begun=answer.prepared
                    )
                    if not answer.prepared:
                        await answer.prepare(request)
                    await answer.write(begin + told)
                begin = b","
        await answer.write_eof(b"]")
    return answer


async def _most(request: web.Request, caller: Caller, found: Retrieved) -> int:
    """Bytes that telling any of them takes in memory. Raises TooLarge."""
    view = view_of(await opened(request, caller, found.largest))
    demand_describable(view)
    most = weight(view)
    request.app[HOUSE].budget.demand_possible(caller.payer, most)
    return most if len(found.rows) == 1 else max(most, _SEVERAL)


async def _told(
    request: web.Request, held: Held, warm: WarmTurl, bulk: tuple[str, str], *, begun: bool
) -> bytes:
    """One instance; that it was read is in the audit before it is told."""
    house, view = request.app[HOUSE], view_of(warm)
    await held.hold(weight(view), begun=begun)
    async with (
        house.reads.reading(warm.read, warm.ending, source_of(request)) as reading,
        telling_damage(warm.read),
    ):
        told = await described(house.blobs, house.cipher, house.workshop.scrubber, view, bulk, begun=begun)
        reading.bytes += len(told)
        return told


def _bulk(base: str, row: Row, end: str) -> tuple[str, str]:
    return f"{base}/studies/{row.study}/series/{row.series}/instances/{row.instance}/bulkdata/", end
