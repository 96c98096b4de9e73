"""MKCOL (RFC 4918 §9.3): a new directory."""

from aiohttp import web

from mdm_async.errors import UnsupportedMediaType
from mdm_async.images.names import directories
from mdm_async.web.dav.asked import Asked


async def mkcol(asked: Asked) -> web.Response:
    if asked.request.can_read_body:
        raise UnsupportedMediaType("a new directory takes no body", remedy="send MKCOL without one")
    house = asked.house
    async with asked.turn():
        await directories.mkdir(house.database, asked.caller, asked.named.surl)
    return web.Response(status=201)
