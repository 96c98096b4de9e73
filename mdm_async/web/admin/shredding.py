"""Shredding, over JSON under /admin/v1: looking first, then doing it, and the receipts."""

from typing import Any
from uuid import UUID

from aiohttp import web
from pydantic import BaseModel, ConfigDict, Field

from mdm_async.catalog.work.shreds import Shred
from mdm_async.errors import NotFound
from mdm_async.images.shredding.shredder import Found, Wanted
from mdm_async.web.http.asked import asked_by_name
from mdm_async.web.http.credential import identified_caller_of
from mdm_async.web.http.fields import Many, SurlText, Text
from mdm_async.web.http.house import HOUSE
from mdm_async.web.http.reply import json_reply
from mdm_async.web.http.turn import turn


class LookForm(BaseModel):
    model_config = ConfigDict(extra="forbid")

    surls: Many[SurlText] = Field(default_factory=list)
    patient: Text = Field("", max_length=256)
    issuer: str | None = Field(None, max_length=256)
    as_administrator: bool = Field(default=False, alias="asAdministrator")

    def wanted(self, people: int = 1) -> Wanted:
        return Wanted(self.surls, self.patient, self.as_administrator, self.issuer, people)


class ShredForm(LookForm):
    id: UUID
    digest: str = Field(pattern="^[0-9a-f]{64}$", max_length=64)
    people: int = Field(1, ge=1)


def routes() -> list[web.AbstractRouteDef]:
    return [
        web.post("/admin/v1/shred/look", look),
        web.post("/admin/v1/shred", shred),
        web.get("/admin/v1/shreds", listing),
        web.get("/admin/v1/shreds/{id}", receipt),
    ]


async def look(request: web.Request) -> web.Response:
    caller, form = await asked_by_name(request, LookForm)
    async with turn(request, caller, form):
        found = await request.app[HOUSE].shredder.look(caller, form.wanted())
        return json_reply(request, _found(found))


async def shred(request: web.Request) -> web.Response:
    """The answer has the receipt as it is then; later ones are asked for by the id."""
    caller, form = await asked_by_name(request, ShredForm)
    house = request.app[HOUSE]
    async with turn(request, caller, form):
        await house.shredder.shred(caller, form.wanted(form.people), form.id, form.digest)
        return await _receipt(request, form.id)


async def listing(request: web.Request) -> web.Response:
    caller = await identified_caller_of(request)
    found = await request.app[HOUSE].receipts.listing(caller)
    return json_reply(request, {"shreds": [_shred(one) for one in found]})


async def receipt(request: web.Request) -> web.Response:
    try:
        id_ = UUID(request.match_info["id"])
    except ValueError:
        await identified_caller_of(request)
        raise NotFound("there is no such shred of yours", remedy="see `mdm shreds list`") from None
    return await _receipt(request, id_)


async def _receipt(request: web.Request, id_: UUID) -> web.Response:
    caller = await identified_caller_of(request)
    found, text = await request.app[HOUSE].receipts.receipt(caller, id_)
    return json_reply(request, {**_shred(found), "receipt": text})


def _shred(one: Shred) -> dict[str, Any]:
    return {
        "id": str(one.id),
        "at": one.at,
        "by": one.caller,
        "asAdministrator": one.granted,
        "images": one.images,
        "state": one.state,
        "destroyed": one.destroyed,
        "final": one.final,
    }


def _found(found: Found) -> dict[str, Any]:
    counts = found.counts
    return {
        "images": counts.images,
        "entries": counts.entries,
        "hidden": counts.hidden,
        "barred": counts.barred,
        "views": counts.views,
        "parts": counts.parts,
        "blobs": counts.blobs,
        "bytes": counts.bytes,
        "transferURLs": counts.urls,
        "replicas": counts.replicas,
        "cohorts": counts.cohorts,
        "deliveredTo": counts.callers,
        "people": found.people,
        "unreadable": found.unreadable,
        "digest": counts.digest,
    }
