"""MOVE (RFC 4918 §9.9): another name, in the place of what had it where the caller lets it be overwritten."""

from aiohttp import web

from mdm_async.errors import OnAnotherHost
from mdm_async.images.names import moving
from mdm_async.web.dav.asked import Asked
from mdm_async.web.http.named import DAV, destination


async def move(asked: Asked) -> web.Response:
    """201, or 204 where something had the name."""
    target = destination(asked.request, DAV)
    if target is None:
        raise OnAnotherHost()
    house = asked.house
    mover = moving.Mover(
        house.database,
        house.views,
        house.settings.delivery,
        house.changed,
        house.name_guard,
        house.settings.naming,
    )
    async with asked.turn():
        replaced = await mover.rename(
            asked.caller, asked.named.surl, target.surl, overwrite=asked.may_overwrite
        )
    return web.Response(status=204 if replaced else 201)
