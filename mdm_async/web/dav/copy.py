"""COPY: of another host's file, or to another host, as the grid copies; else within the namespace (RFC 4918 §9.8)."""

from aiohttp import web

from mdm_async.errors import NotSupported
from mdm_async.web.copying.over_http import third_party_copy
from mdm_async.web.dav.asked import ROOT, Asked
from mdm_async.web.http.named import destination


async def copy(asked: Asked) -> web.StreamResponse:
    request = asked.request
    if "Source" in request.headers or destination(request, ROOT) is None:
        return await third_party_copy(request, asked.caller, asked.named.surl)
    raise NotSupported("files are not copied here", remedy="get it, and put it")
