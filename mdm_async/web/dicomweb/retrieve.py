"""WADO-RS (PS3.18 §10.4): studies, series and instances as they are stored, one part after the other."""

from collections.abc import AsyncGenerator

from aiohttp import web

from mdm_async.web.dicomweb import accept
from mdm_async.web.dicomweb.address import wanted
from mdm_async.web.dicomweb.opening import each_opened, opened, rows_of, syntax_of
from mdm_async.web.dicomweb.parts import Parts
from mdm_async.web.http.credential import caller_of
from mdm_async.web.http.get import get
from mdm_async.web.http.sending import Body, Part, Section, send_parts


async def retrieve(request: web.Request) -> web.StreamResponse:
    """In parts, or one instance by itself, which may be had in ranges."""
    caller = await caller_of(request)
    kinds = wanted(request)
    rows = await rows_of(request, caller)
    alone = "instance" in request.match_info
    chosen = accept.of_instances(kinds, set(map(syntax_of, rows)), alone=alone)
    if not chosen.multipart:
        warm = await opened(request, caller, rows[0])
        return await get(request, warm.served, warm.read)
    parts = Parts(accept.DICOM)
    answer = web.StreamResponse(headers=parts.headers)
    if request.method == "HEAD":
        await opened(request, caller, rows[0])
        await answer.prepare(request)
        return answer

    async def all_parts() -> AsyncGenerator[Part, None]:
        async for row, warm in each_opened(request, caller, rows):
            preface = parts.preface(f"{accept.DICOM}; transfer-syntax={syntax_of(row)}")
            yield Part(warm.served, warm.read, Body([Section(0, warm.served.size, preface)]))

    await send_parts(request, answer, caller.payer, all_parts(), parts.end)
    return answer
