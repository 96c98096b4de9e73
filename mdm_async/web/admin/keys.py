"""The key store over JSON, under /admin/v1/keys."""

from typing import Any

from aiohttp import web

from mdm_async.images.upkeep import key_encryption
from mdm_async.keys.standing import Epoch, KeyStanding, StoreStanding
from mdm_async.web.http.credential import identified_caller_of
from mdm_async.web.http.house import HOUSE
from mdm_async.web.http.reply import json_reply


def routes() -> list[web.AbstractRouteDef]:
    return [web.get("/admin/v1/keys", show)]


async def show(request: web.Request) -> web.Response:
    house, caller = request.app[HOUSE], await identified_caller_of(request)
    return json_reply(request, _told(await key_encryption.standing(house.database, house.keys, caller)))


def _told(found: KeyStanding) -> dict[str, Any]:
    return {"threshold": found.threshold, "stores": [_store(one) for one in found.stores]}


def _store(one: StoreStanding) -> dict[str, Any]:
    return {"name": one.name, "alive": one.alive, "epochs": [_epoch(epoch) for epoch in one.epochs]}


def _epoch(one: Epoch) -> dict[str, Any]:
    return {"number": one.number, "inUse": one.in_use, "here": one.here, "rows": one.rows, "more": one.more}
