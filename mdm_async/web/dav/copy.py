"""COPY: of another host's file, or to another host, as the grid copies; else within the namespace (RFC 4918 §9.8)."""

from aiohttp import web

from mdm_async.errors import NotSupported
from mdm_async.web.dav.asked import ROOT, Asked
from mdm_async.web.http.named import destination


async def copy(asked: Asked) -> web.StreamResponse:
    if "Source" in asked.request.headers or destination(asked.request, ROOT) is None:
        raise NotSupported("files are not copied between hosts here", remedy="get it, and put it there")
    raise NotSupported("files are not copied here", remedy="get it, and put it")
