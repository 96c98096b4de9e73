"""COPY: of another host's file, or to another host, as the grid copies; else within the namespace (RFC 4918 §9.8)."""

from aiohttp import web

from mdm_async.errors import BadRequest, NotSupported
from mdm_async.images.names.copying import Copier
from mdm_async.web.copying.over_http import third_party_copy
from mdm_async.web.dav.asked import Asked
from mdm_async.web.http.named import DAV, destination


async def copy(asked: Asked) -> web.StreamResponse:
    request = asked.request
    field = "Source" if "Source" in request.headers else "Destination"
    other = destination(request, DAV, field)
    if other is None or ("Source" in request.headers and "Destination" in request.headers):
        return await third_party_copy(request, asked.caller, asked.named.surl)
    if "TransferHeaderAuthorization" in request.headers:
        # Neither credential may do all of it. After 501 clients of the grid get the file and put it.
        raise NotSupported(
            "a copy within this server is made by one credential", remedy="send one that may read and write"
        )
    if field == "Source":
        return await _copy_here(asked, other.surl, asked.named.surl)
    return await _copy_here(asked, asked.named.surl, other.surl)


async def _copy_here(asked: Asked, source: str, target: str) -> web.Response:
    """201, or 204 where something had the name."""
    depth, house = asked.depth, asked.house
    if depth == "1":
        raise BadRequest("COPY has the Depths 0 and infinity alone")
    copier = Copier(house.database, house.views, house.settings.delivery, house.changed, house.name_guard)
    async with asked.turn():
        replaced = await copier.copy(
            asked.caller, source, target, overwrite=asked.may_overwrite, deep=depth == "infinity"
        )
    return web.Response(status=204 if replaced else 201)
