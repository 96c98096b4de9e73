"""WADO-RS (PS3.18 §10.4): studies, series and instances, one part after the other."""

from collections.abc import AsyncGenerator
from contextlib import aclosing

from aiohttp import web

from mdm_async.images.budget import Held
from mdm_async.images.studies.decoding import can_be_decoded
from mdm_async.images.studies.decompressing import Decompressor
from mdm_async.images.studies.rewriting import MOST_REWRITTEN, REWRITTEN, Rewritten, rewritten
from mdm_async.images.transfers.warm import WarmTurl
from mdm_async.web.dicomweb import accept
from mdm_async.web.dicomweb.address import wanted
from mdm_async.web.dicomweb.opening import each_opened, opened, rows_of, syntax_of
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
    stored = set(map(syntax_of, rows))
    decodable = set(filter(can_be_decoded, stored))
    chosen = accept.of_instances(kinds, stored, alone=alone, decodable=decodable)
    if not chosen.multipart and not chosen.remade:
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

    async def all_parts(held: Held) -> AsyncGenerator[Part, None]:
        async with aclosing(each_opened(request, rows)) as each:
            async for row, warm in each:
                stored = syntax_of(row)
                syntax = accept.EXPLICIT if stored in chosen.remade else stored
                kind = f"{accept.DICOM}; transfer-syntax={syntax}"
                preface = parts.preface(kind) if chosen.multipart else b""
                if syntax == stored:
                    yield Part(warm.served, warm.read, Body([Section(0, warm.served.size, preface)]))
                    continue
                async with telling_damage(warm.read):
                    new = await _remade(request, warm, stored, held, begun=answer.prepared)
                section = Section(*new.pixels, preface + new.before)
                yield Part(new.source, warm.read, Body([section], new.after))

    with request.app[HOUSE].budget.holding(caller.payer, 4 * MOST_REWRITTEN if chosen.remade else 0) as held:
        end = parts.end if chosen.multipart else b""
        await send_parts(request, answer, caller.payer, all_parts(held), end)
    return answer


async def _remade(request: web.Request, warm: WarmTurl, stored: str, held: Held, *, begun: bool) -> Rewritten:
    """In Explicit VR Little Endian."""
    house = request.app[HOUSE]
    if stored in REWRITTEN:
        return await rewritten(house.blobs, house.cipher, warm.served)
    decompressor = Decompressor(house.blobs, house.cipher, house.workshop.scrubber, house.budget)
    return await decompressor.decompressed(warm.served, held, begun=begun)
