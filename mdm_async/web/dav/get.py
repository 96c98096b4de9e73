"""GET and HEAD: a file's view, whole or in ranges."""

from aiohttp import web

from mdm_async.errors import ViewPending, ViewRefused
from mdm_async.web.dav.asked import Asked
from mdm_async.web.http.get import give, tell_sent


async def get(asked: Asked) -> web.StreamResponse:
    opened = asked.house.opened
    try:
        view = await opened.open(asked.caller, asked.named.surl)
    except (ViewRefused, ViewPending):
        if asked.request.method != "HEAD":
            raise
        sent = await opened.sent(asked.caller, asked.named.surl)
        if sent is None:
            raise
        return await tell_sent(asked.request, sent, asked.caller.payer)
    return await give(asked.request, view.warm, asked.caller.writers)
