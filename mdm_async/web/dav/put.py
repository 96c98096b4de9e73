"""PUT: a file goes through the intake and has its name once all of it is stored."""

from aiohttp import web

from mdm_async.images.transfers.storing import StoreAsk, store
from mdm_async.web.dav.asked import Asked
from mdm_async.web.http.digest_fields import announced
from mdm_async.web.http.incoming import coming, demand_whole


async def put(asked: Asked) -> web.Response:
    """201, or 204 where another file had the name. With `?force=yes` as at a transfer URL."""
    request, house = asked.request, asked.house
    ask = StoreAsk(
        asked.named.surl,
        overwrite=request.headers.get("If-None-Match", "").strip() != "*",
        size=request.content_length,
        digests=announced(request),
        force=request.query.get("force") == "yes",
    )
    demand_whole(request)
    with coming(request) as (body, cut):
        file = await store(house.intake, house.judge, house.admission, asked.caller, ask, body, cut)
    # No ETag: what GET serves are not the bytes that were sent (RFC 9110 §9.3.4).
    return web.Response(status=204 if file.replaced else 201)
