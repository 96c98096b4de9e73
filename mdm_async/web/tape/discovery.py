"""/.well-known/wlcg-tape-rest-api: where the Tape REST API is."""

from aiohttp import web

from mdm_async.web.http.house import HOUSE
from mdm_async.web.http.reply import json_reply
from mdm_async.web.tape.staging import BASE
from mdm_async.web.turls.address import TurlAddress


def routes() -> list[web.AbstractRouteDef]:
    return [web.get("/.well-known/wlcg-tape-rest-api", tape_rest_api)]


async def tape_rest_api(request: web.Request) -> web.Response:
    house = request.app[HOUSE]
    base = TurlAddress.choose(request, house, TurlAddress.protocols(house), False).base
    return json_reply(
        request,
        {
            "sitename": house.settings.site.called(base),
            "endpoints": [{"uri": base + BASE, "version": "v1", "metadata": {}}],
        },
    )
