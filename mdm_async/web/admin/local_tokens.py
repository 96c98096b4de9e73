"""Local tokens over JSON, under /admin/v1: made, listed, revoked."""

import re

from aiohttp import web
from pydantic import BaseModel, ConfigDict, Field

from mdm_async.errors import BadRequest, NotFound
from mdm_async.images.rights import tokens
from mdm_async.names import Scope, parse_lfn, parse_rights, parse_view
from mdm_async.web.http.asked import asked_by_name
from mdm_async.web.http.credential import identified_caller_of
from mdm_async.web.http.fields import Names, SurlText, Text
from mdm_async.web.http.house import HOUSE
from mdm_async.web.http.reply import json_reply

_CENTURY = 100 * 365 * 86400
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@-]{0,63}\Z")


class TokenForm(BaseModel):
    model_config = ConfigDict(extra="forbid")

    name: Text
    rights: Text
    path: SurlText = "/"
    views: Names | None = None
    lifetime: int | None = Field(None, ge=1, le=_CENTURY)


def routes() -> list[web.AbstractRouteDef]:
    return [
        web.get("/admin/v1/tokens", list_tokens),
        web.post("/admin/v1/tokens", create_token),
        web.delete("/admin/v1/tokens/{name}", revoke_token),
    ]


async def list_tokens(request: web.Request) -> web.Response:
    found = await tokens.listing(request.app[HOUSE].database, await identified_caller_of(request))
    return json_reply(request, {"tokens": found})


async def create_token(request: web.Request) -> web.Response:
    caller, form = await asked_by_name(request, TokenForm)
    if not _NAME.match(form.name):
        raise BadRequest("a token's name is 1 to 64 letters, digits, '.', '_', '@' and '-'")
    views = (
        frozenset(v if v == "*" else parse_view(v) for v in form.views) if form.views is not None else None
    )
    scope = Scope(parse_lfn(form.path), parse_rights(form.rights), views)
    token = await tokens.create(request.app[HOUSE].database, caller, form.name, scope, form.lifetime)
    return json_reply(request, {"token": token, **form.model_dump(exclude_none=True)}, 201)


async def revoke_token(request: web.Request) -> web.Response:
    caller, name = await identified_caller_of(request), request.match_info["name"]
    if not _NAME.match(name):
        raise NotFound("no live token has that name")
    house = request.app[HOUSE]
    await tokens.revoke(house.database, house.changed, caller, name)
    return web.Response(status=204)
