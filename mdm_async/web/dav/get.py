"""GET and HEAD: a file's view, whole or in ranges."""

from aiohttp import web

from mdm_async.web.dav.asked import Asked
from mdm_async.web.http.get import give


async def get(asked: Asked) -> web.StreamResponse:
    view = await asked.house.opened.open(asked.caller, asked.named.surl)
    return await give(asked.request, view.warm)
