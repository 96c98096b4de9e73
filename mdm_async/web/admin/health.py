"""Whether the server lives and is ready, and its metrics; they name nobody and no file."""

from aiohttp import web
from prometheus_client import CONTENT_TYPE_LATEST

from mdm_async import __version__
from mdm_async.errors import Forbidden, Unavailable
from mdm_async.loopback import is_loopback
from mdm_async.settings import ServerSettings
from mdm_async.web.http.channel import is_forwarded
from mdm_async.web.http.house import HOUSE
from mdm_async.web.http.local_socket import came_by_socket
from mdm_async.web.http.reply import json_reply


def routes() -> list[web.AbstractRouteDef]:
    return [
        web.get("/health/live", live),
        web.get("/health/ready", ready),
        web.get("/metrics", metrics),
    ]


async def live(request: web.Request) -> web.Response:
    return json_reply(request, {"status": "live"})


async def ready(request: web.Request) -> web.Response:
    """503 while the catalog or the blob store is away, the catalog takes no changes, a disk is full, or it drains."""
    house = request.app[HOUSE]
    if house.draining:
        raise Unavailable("the server is shutting down", retry_after=10)
    if house.disks.full:
        raise Unavailable("; ".join(house.disks.full.values()), remedy="free space", retry_after=60)
    if (away := house.store_watch.away) is not None:
        raise Unavailable(away, remedy="mount its disk, or reach its bucket, again", retry_after=10)
    await house.lanes.control.demand_writable()
    return json_reply(request, {"status": "ready", "version": __version__})


async def metrics(request: web.Request) -> web.Response:
    """For this machine, if nothing else is set: they tell how much is done here, and when."""
    house = request.app[HOUSE]
    demand_metrics(request, house.settings.server)
    return web.Response(body=await house.exposition.latest(), headers={"Content-Type": CONTENT_TYPE_LATEST})


def demand_metrics(request: web.Request, settings: ServerSettings) -> None:
    if settings.metrics == "loopback" and not _is_here(request):
        raise Forbidden(
            "metrics are for this machine", remedy='set server.metrics = "all", or scrape it by the loopback'
        )


def _is_here(request: web.Request) -> bool:
    # A proxy on this machine passes on what comes from elsewhere.
    return came_by_socket(request) or (is_loopback(request.remote or "") and not is_forwarded(request))
