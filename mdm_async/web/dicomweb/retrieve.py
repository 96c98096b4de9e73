"""WADO-RS (PS3.18 §10.4): studies, series and instances as they are stored, one part after the other."""

from collections.abc import AsyncGenerator
from contextlib import aclosing

from aiohttp import web

from mdm_async.images.studies.rewriting import MOST_REWRITTEN, rewritten
from mdm_async.images.transfers.warm import WarmTurl
from mdm_async.web.dicomweb import accept
from mdm_async.web.dicomweb.address import wanted
from mdm_async.web.dicomweb.opening import each_opened, opened, rows_of, syntax_of, view_of
from mdm_async.web.dicomweb.parts import HEADERS, Parts
from mdm_async.web.http.credential import caller_of
from mdm_async.web.http.get import get
from mdm_async.web.http.house import HOUSE
from mdm_async.web.http.sending import Body, Part, Section, send_parts, telling_damage


async def retrieve(request: web.Request) -> web.StreamResponse:
    """In parts, or one instance by itself, which may be had in ranges when it leaves as it is stored."""
    caller = await caller_of(request)
    kinds = wanted(request)
    rows = (await rows_of(request, caller)).rows
    alone = "instance" in request.match_info
    chosen = accept.of_instances(kinds, set(map(syntax_of, rows)), alone=alone)
    if not chosen.multipart and chosen.syntax is None:
        warm = await opened(request, caller, rows[0])
        return await get(request, warm.served, warm.read)
    parts = Parts(accept.DICOM)
    answer = web.StreamResponse(
        headers=parts.headers if chosen.multipart else HEADERS | {"Content-Type": accept.DICOM}
    )
    if request.method == "HEAD":
        await opened(request, caller, rows[0])
        await answer.prepare(request)
        return answer

    async def all_parts() -> AsyncGenerator[Part, None]:
        async with aclosing(each_opened(request, rows)) as each:
            async for row, warm in each:
                stored = syntax_of(row)
                syntax = chosen.syntax or stored if stored == accept.IMPLICIT else stored
                kind = f"{accept.DICOM}; transfer-syntax={syntax}"
                preface = parts.preface(kind) if chosen.multipart else b""
                yield await _part(request, warm, preface, rewrite=syntax != stored)

    held = 0 if chosen.syntax is None else 4 * MOST_REWRITTEN
    with request.app[HOUSE].budget.holding(caller.payer, held):
        end = parts.end if chosen.multipart else b""
        await send_parts(request, answer, caller.payer, all_parts(), end)
    return answer


async def _part(request: web.Request, warm: WarmTurl, preface: bytes, *, rewrite: bool) -> Part:
    if not rewrite:
        return Part(warm.served, warm.read, Body([Section(0, warm.served.size, preface)]))
    house = request.app[HOUSE]
    async with telling_damage(warm.read):
        new = await rewritten(house.blobs, house.cipher, view_of(warm))
    return Part(warm.served, warm.read, Body([Section(*new.pixels, preface + new.before)], new.after))
