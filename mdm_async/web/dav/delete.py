"""DELETE (RFC 4918 §9.6): a file, or a directory with all that is in it, which then goes by and by."""

from aiohttp import web

from mdm_async.errors import BadRequest, IsADirectory
from mdm_async.images.names import removal
from mdm_async.web.dav.asked import Asked


async def delete(asked: Asked) -> web.Response:
    if asked.depth != "infinity":
        raise BadRequest("DELETE has no other Depth than infinity")
    house, caller, surl = asked.house, asked.caller, asked.named.surl
    async with asked.turn():
        ((_, why),) = await removal.rm(house.database, house.changed, caller, [surl])
        if isinstance(why, IsADirectory):
            await removal.rmdir(house.lanes.bulk, house.changed, caller, surl, recursive=True)
        elif why is not None:
            raise why
    return web.Response(status=204)
