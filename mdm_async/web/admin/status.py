"""How the installation stands, for those who run it, over JSON under /admin/v1."""

from dataclasses import asdict
from typing import Any

from aiohttp import web

from mdm_async import __version__
from mdm_async.catalog.work.queue import COUNTED, Standing
from mdm_async.images.upkeep.status import status
from mdm_async.web.http.credential import identified_caller_of
from mdm_async.web.http.house import HOUSE
from mdm_async.web.http.reply import json_reply


def routes() -> list[web.AbstractRouteDef]:
    return [web.get("/admin/v1/status", show)]


async def show(request: web.Request) -> web.Response:
    house = request.app[HOUSE]
    caller = await identified_caller_of(request)
    found = await status(house.database, house.blobs, house.admission, caller)
    return json_reply(
        request,
        {
            "node": house.node,
            "version": __version__,
            "schema": found.schema,
            "queues": [_queue(one) for one in found.queues],
            "blobs": {"free": found.free},
            "full": list(house.disks.full.values()),
            "limits": [asdict(near) for ask in house.near for near in ask()],
            "transfers": {"sending": found.sending, "receiving": found.receiving},
        },
    )


def _queue(one: Standing) -> dict[str, Any]:
    return {
        "name": one.queue,
        "length": one.length,
        "more": one.length == COUNTED,
        "oldestSeconds": one.oldest,
        "taken": one.taken,
        "failed": one.failed,
        "failures": [
            {
                "row": [str(part) for part in failure.key],
                "reason": failure.reason,
                "attempts": failure.attempts,
                "due": failure.due,
            }
            for failure in one.failures
        ],
    }
