"""A face of the tests' own, as small as one can be: PUT and GET of /face/<name>, by the one-step verbs alone.

What another protocol would add is its own words; rights, views, names and bytes are no business of a face.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from aiohttp import web

from mdm_async.images.transfers.storing import StoreAsk, store
from mdm_async.web.http import problem
from mdm_async.web.http.credential import caller_of
from mdm_async.web.http.digest_fields import announced
from mdm_async.web.http.get import give
from mdm_async.web.http.house import HOUSE, House
from mdm_async.web.http.incoming import coming, demand_whole
from tests.web.listening import listening


async def put(request: web.Request) -> web.Response:
    house, caller = request.app[HOUSE], await caller_of(request)
    ask = StoreAsk(
        f"/{request.match_info['name']}",
        overwrite=request.headers.get("If-None-Match") != "*",
        parents="X-Make-Directories" in request.headers,
        size=request.content_length,
        sha256=request.headers.get("X-Sha256"),
        digests=announced(request),
    )
    demand_whole(request)
    with coming(request) as (body, cut):
        file = await store(house.intake, house.judge, house.admission, caller, ask, body, cut)
    return web.Response(status=204 if file.replaced else 201, headers={"X-Guid": str(file.guid)})


async def get(request: web.Request) -> web.StreamResponse:
    house, caller = request.app[HOUSE], await caller_of(request)
    view = await house.opened.open(caller, f"/{request.match_info['name']}")
    return await give(request, view.warm, caller.writers)


@asynccontextmanager
async def second_face(house: House) -> AsyncIterator[str]:
    """Where it is, while it is there."""
    app = web.Application(middlewares=[problem.middleware])
    app[HOUSE] = house
    app.add_routes([web.put("/face/{name:.+}", put), web.get("/face/{name:.+}", get)])
    async with listening(app, house) as url:
        yield f"{url}/face"
