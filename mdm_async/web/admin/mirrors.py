"""Mirrors, for administrators of either site, over JSON under /admin/v1."""

from dataclasses import asdict
from typing import Any

from aiohttp import web
from pydantic import BaseModel, ConfigDict, Field

from mdm_async.images.mirroring.administering import Kept, Sent
from mdm_async.names import parse_lfn
from mdm_async.web.http.asked import asked_by_name
from mdm_async.web.http.credential import identified_caller_of
from mdm_async.web.http.fields import SurlText
from mdm_async.web.http.house import HOUSE
from mdm_async.web.http.reply import json_reply

_MIRRORS = "/admin/v1/mirrors"


class _Form(BaseModel):
    model_config = ConfigDict(extra="forbid")


class AcceptForm(_Form):
    path: SurlText


class AddForm(_Form):
    path: SurlText
    url: str = Field(max_length=2048)
    credential: str = Field(max_length=256, pattern=r"^[!-~]+$")


class StopForm(_Form):
    diverge: bool = False


class PromoteForm(_Form):
    pass


def routes() -> list[web.AbstractRouteDef]:
    return [
        web.get(_MIRRORS, status),
        web.post(_MIRRORS + "/{name}/accept", accept),
        web.post(_MIRRORS + "/{name}/add", add),
        web.post(_MIRRORS + "/{name}/stop", stop),
        web.post(_MIRRORS + "/{name}/promote", promote),
    ]


async def status(request: web.Request) -> web.Response:
    caller = await identified_caller_of(request)
    sent, kept = await request.app[HOUSE].mirroring.status(caller)
    return json_reply(
        request, {"mirrors": [_sent(one) for one in sent], "follows": [_kept(one) for one in kept]}
    )


async def accept(request: web.Request) -> web.Response:
    """201 with the credential, which is told this once."""
    caller, form = await asked_by_name(request, AcceptForm)
    name = request.match_info["name"]
    credential = await request.app[HOUSE].mirroring.accept(caller, name, parse_lfn(form.path))
    return json_reply(request, {"name": name, "credential": credential}, 201)


async def add(request: web.Request) -> web.Response:
    caller, form = await asked_by_name(request, AddForm)
    name = request.match_info["name"]
    await request.app[HOUSE].mirroring.add(caller, name, parse_lfn(form.path), form.url, form.credential)
    return json_reply(request, {"name": name}, 201)


async def stop(request: web.Request) -> web.Response:
    caller, form = await asked_by_name(request, StopForm)
    await request.app[HOUSE].mirroring.stop(caller, request.match_info["name"], diverge=form.diverge)
    return web.Response(status=204)


async def promote(request: web.Request) -> web.Response:
    caller, _ = await asked_by_name(request, PromoteForm)
    now = await request.app[HOUSE].mirroring.promote(caller, request.match_info["name"])
    return json_reply(request, _kept(Kept(now, None)))


def _sent(one: Sent) -> dict[str, Any]:
    mirror = one.mirror
    return {
        "name": mirror.name,
        "path": one.path,
        "to": mirror.url,
        "state": mirror.state,
        "epoch": mirror.epoch,
        "added": mirror.added,
        "addedBy": mirror.added_by,
        "heard": mirror.heard,
        "failure": mirror.failure,
        "lag": asdict(one.lag),
        "refusedProfiles": one.refused,
    }


def _kept(one: Kept) -> dict[str, Any]:
    here = one.followed
    return {
        "name": here.name,
        "path": one.path,
        "state": here.state,
        "epoch": here.epoch,
        "first": str(here.first) if here.first is not None else None,
        "added": here.added,
        "addedBy": here.added_by,
        "heard": here.heard,
        "complete": here.complete,
    }
