"""Macaroons over JSON, under /admin/v1: told of and ended. Each path's own face makes them."""

from uuid import UUID

from aiohttp import web

from mdm_async.catalog.rights.macaroons import Told
from mdm_async.errors import NotFound
from mdm_async.images.rights import macaroons
from mdm_async.web.http.credential import identified_caller_of
from mdm_async.web.http.house import HOUSE
from mdm_async.web.http.reply import json_reply
from mdm_async.web.srm.json_renderer import when

_MOST_CHARACTERS = 36


def routes() -> list[web.AbstractRouteDef]:
    return [
        web.get("/admin/v1/macaroons", list_macaroons),
        web.delete("/admin/v1/macaroons/{id}", revoke_macaroon),
    ]


async def list_macaroons(request: web.Request) -> web.Response:
    found = await macaroons.listing(request.app[HOUSE].database, await identified_caller_of(request))
    return json_reply(request, {"macaroons": [_told(one) for one in found]})


def _told(one: Told) -> dict[str, object]:
    told: dict[str, object] = {
        "id": str(one.macaroon),
        "maker": one.maker,
        "caveats": list(one.caveats),
        "created": when(one.created),
        "expires": when(one.expires),
    }
    return told if one.revoked is None else told | {"revoked": when(one.revoked)}


async def revoke_macaroon(request: web.Request) -> web.Response:
    caller = await identified_caller_of(request)
    house = request.app[HOUSE]
    await macaroons.revoke(house.database, house.changed, caller, _id(request.match_info["id"]))
    return web.Response(status=204)


def _id(text: str) -> UUID:
    try:
        if len(text) == _MOST_CHARACTERS:
            return UUID(text)
    except ValueError:
        pass
    raise NotFound("no live macaroon has that id")
