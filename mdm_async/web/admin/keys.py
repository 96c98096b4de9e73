"""The key store over JSON, under /admin/v1/keys."""

from datetime import datetime
from typing import Any

from aiohttp import web
from pydantic import BaseModel, ConfigDict, Field

from mdm_async.images.upkeep import key_encryption
from mdm_async.keys.nodes import Node
from mdm_async.keys.rotations import Rotation
from mdm_async.keys.standing import Epoch, KeyStanding, StoreStanding
from mdm_async.web.http.asked import asked_by_name
from mdm_async.web.http.credential import identified_caller_of
from mdm_async.web.http.fields import Text
from mdm_async.web.http.house import HOUSE
from mdm_async.web.http.reply import json_reply
from mdm_async.web.srm.json_renderer import when

_MOST_NODES = 100


class RotationForm(BaseModel):
    model_config = ConfigDict(extra="forbid")

    gone: list[Text] = Field(default_factory=list, max_length=_MOST_NODES)


def routes() -> list[web.AbstractRouteDef]:
    return [web.get("/admin/v1/keys", show), web.post("/admin/v1/keys/rotate", rotate)]


async def show(request: web.Request) -> web.Response:
    house, caller = request.app[HOUSE], await identified_caller_of(request)
    return json_reply(request, _told(await key_encryption.standing(house.database, house.keys, caller)))


async def rotate(request: web.Request) -> web.Response:
    caller, form = await asked_by_name(request, RotationForm)
    house = request.app[HOUSE]
    return json_reply(
        request, _told(await key_encryption.rotate(house.database, house.keys, caller, form.gone))
    )


def _told(found: KeyStanding) -> dict[str, Any]:
    return {"threshold": found.threshold, "stores": [_store(one) for one in found.stores]}


def _store(one: StoreStanding) -> dict[str, Any]:
    told: dict[str, Any] = {
        "name": one.name,
        "alive": one.alive,
        "source": one.source,
        "epochs": [_epoch(epoch) for epoch in one.epochs],
        "nodes": [_node(node) for node in one.nodes],
    }
    return told if one.rotation is None else told | {"rotation": _rotation(one.rotation)}


def _epoch(one: Epoch) -> dict[str, Any]:
    return {
        "number": one.number,
        "inUse": one.in_use,
        "here": one.here,
        "rows": one.rows,
        "more": one.more,
        "made": when(one.made),
        **_at("closed", one.closed),
        **_at("destroyed", one.destroyed),
    }


def _rotation(one: Rotation) -> dict[str, Any]:
    return {
        "number": one.epoch,
        "began": when(one.began),
        **_at("ended", one.ended),
        "total": one.total,
        "done": one.done,
        "damaged": one.damaged,
    }


def _node(one: Node) -> dict[str, Any]:
    return {
        "name": one.name,
        "live": one.live,
        "seen": when(one.seen),
        "has": sorted(one.has),
        "inUse": one.in_use,
        "keeps": one.keeps,
    }


def _at(name: str, at: datetime | None) -> dict[str, str]:
    return {} if at is None else {name: when(at)}
