"""For those who run the server: health, metrics, local tokens, fsck."""

import re
from dataclasses import asdict

from aiohttp import web
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from pydantic import BaseModel, ConfigDict, Field

from mdm_async import __version__
from mdm_async.errors import BadRequest, NotFound, Unavailable
from mdm_async.images.rights import tokens
from mdm_async.images.upkeep import fsck
from mdm_async.names import Scope, parse_lfn, parse_rights, parse_view
from mdm_async.web.http.answer import json_answer
from mdm_async.web.http.body import parse
from mdm_async.web.http.channel import identified_caller_of
from mdm_async.web.http.house import HOUSE

_CENTURY = 100 * 365 * 86400
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@-]{0,63}\Z")


class TokenRequest(BaseModel):
    model_config = ConfigDict(extra="forbid")

    name: str
    rights: str
    path: str = "/"
    views: list[str] | None = None
    lifetime: int | None = Field(None, ge=1, le=_CENTURY)


class FsckRequest(BaseModel):
    model_config = ConfigDict(extra="forbid")

    repair: bool = False


def routes() -> list[web.AbstractRouteDef]:
    return [
        web.get("/health/live", live),
        web.get("/health/ready", ready),
        web.get("/metrics", metrics),
        web.get("/admin/v1/tokens", list_tokens),
        web.post("/admin/v1/tokens", create_token),
        web.delete("/admin/v1/tokens/{name}", revoke_token),
        web.post("/admin/v1/fsck", check),
    ]


async def live(request: web.Request) -> web.Response:
    return web.json_response({"status": "live"})


async def ready(request: web.Request) -> web.Response:
    """503 while the catalog is away or the server drains."""
    house = request.app[HOUSE]
    if house.draining:
        raise Unavailable("the server is shutting down", retry_after=10)
    await house.archive.database.ping()
    return web.json_response({"status": "ready", "version": __version__})


async def metrics(request: web.Request) -> web.Response:
    return web.Response(body=generate_latest(), headers={"Content-Type": CONTENT_TYPE_LATEST})


async def list_tokens(request: web.Request) -> web.Response:
    found = await tokens.listing(request.app[HOUSE].archive.database, await identified_caller_of(request))
    return json_answer({"tokens": found})


async def create_token(request: web.Request) -> web.Response:
    caller = await identified_caller_of(request)
    asked = await parse(request, TokenRequest)
    if not _NAME.match(asked.name):
        raise BadRequest("a token's name is 1 to 64 letters, digits, '.', '_', '@' and '-'")
    views = (
        frozenset(v if v == "*" else parse_view(v) for v in asked.views) if asked.views is not None else None
    )
    scope = Scope(parse_lfn(asked.path), parse_rights(asked.rights), views)
    token = await tokens.create(
        request.app[HOUSE].archive.database, caller, asked.name, scope, asked.lifetime
    )
    return json_answer({"token": token, **asked.model_dump(exclude_none=True)}, 201)


async def revoke_token(request: web.Request) -> web.Response:
    caller, name = await identified_caller_of(request), request.match_info["name"]
    if not _NAME.match(name):
        raise NotFound("no live token has that name")
    archive = request.app[HOUSE].archive
    await tokens.revoke(archive.database, archive.changed, caller, name)
    return web.Response(status=204)


async def check(request: web.Request) -> web.Response:
    caller = await identified_caller_of(request)
    asked = await parse(request, FsckRequest)
    report = await fsck.fsck(request.app[HOUSE].sweeper, caller, repair=asked.repair)
    return json_answer(
        {"findings": [asdict(f) for f in report.findings], "blobs": report.blobs, "bytes": report.bytes}
    )
