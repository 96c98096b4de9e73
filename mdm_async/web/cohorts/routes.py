"""Cohorts: made, listed, shown, compared, deleted. Their files are pulled as all are: prepareToGet takes a cohort."""

from dataclasses import asdict
from typing import Any

from aiohttp import web
from pydantic import BaseModel, ConfigDict, Field

from mdm_async.images.cohorts import choosing, comparing, making, showing
from mdm_async.images.cohorts.making import Selection
from mdm_async.images.cohorts.showing import Told
from mdm_async.names import parse_view
from mdm_async.web.http import cursor
from mdm_async.web.http.asked import asked
from mdm_async.web.http.fields import Many, SurlText, Text
from mdm_async.web.http.house import HOUSE
from mdm_async.web.http.reply import json_reply
from mdm_async.web.http.turn import turn


class _Form(BaseModel):
    model_config = ConfigDict(extra="forbid")


class CohortForm(_Form):
    """`surl`: the directory's path, and behind it the cohort's name."""

    surl: SurlText


class CreateForm(CohortForm):
    files: Many[SurlText] = Field(min_length=1)
    view: Text | None = None


class ListForm(_Form):
    surl: SurlText
    cursor: str | None = Field(None, max_length=512)


class MembersForm(CohortForm):
    after: int = Field(-1, ge=-1, lt=1 << 31)


def routes() -> list[web.AbstractRouteDef]:
    return [
        web.post("/cohorts/v1/create", create),
        web.post("/cohorts/v1/list", list_cohorts),
        web.post("/cohorts/v1/show", show),
        web.post("/cohorts/v1/members", list_members),
        web.post("/cohorts/v1/diff", diff),
        web.post("/cohorts/v1/delete", delete),
    ]


async def create(request: web.Request) -> web.Response:
    """201 with what was signed, once all is pinned."""
    caller, form = await asked(request, CreateForm)
    house = request.app[HOUSE]
    view = parse_view(form.view) if form.view is not None else None
    with house.desk.turns.serving(caller.payer):
        files = choosing.listed(house.lanes.bulk, house.views, caller, form.files, view)
        made = await making.create(house.cohorts, caller, form.surl, Selection(files, view))
    return json_reply(request, asdict(made), 201)


async def list_cohorts(request: web.Request) -> web.Response:
    caller, form = await asked(request, ListForm)
    after = cursor.decode(form.cursor) if form.cursor is not None else ""
    async with turn(request, caller, form):
        found, last = await showing.listing(request.app[HOUSE].database, caller, form.surl, after)
        told = [
            {
                "name": one.name,
                "guid": str(one.guid),
                "view": one.view,
                "members": one.members,
                "at": one.created,
                "by": one.created_by,
            }
            for one in found
        ]
        return json_reply(
            request, {"cohorts": told, "cursor": cursor.encode(last) if last is not None else None}
        )


async def show(request: web.Request) -> web.Response:
    caller, form = await asked(request, CohortForm)
    house = request.app[HOUSE]
    with house.desk.turns.serving(caller.payer):
        found = await showing.show(house.cohorts, caller, form.surl)
    return json_reply(request, asdict(found))


async def list_members(request: web.Request) -> web.Response:
    caller, form = await asked(request, MembersForm)
    async with turn(request, caller, form):
        found, last = await showing.page(request.app[HOUSE].cohorts, caller, form.surl, form.after)
        return json_reply(request, {"members": [_told(one) for one in found], "after": last})


async def diff(request: web.Request) -> web.Response:
    caller, form = await asked(request, CohortForm)
    house = request.app[HOUSE]
    with house.desk.turns.serving(caller.payer):
        found = await comparing.compare(house.cohorts, caller, form.surl, None)
    return json_reply(request, asdict(found))


async def delete(request: web.Request) -> web.Response:
    caller, form = await asked(request, CohortForm)
    house = request.app[HOUSE]
    async with turn(request, caller, form):
        await showing.delete(house.database, house.changed, caller, form.surl)
    return web.Response(status=204, headers={"Cache-Control": "no-store"})


def _told(one: Told) -> dict[str, Any]:
    """As in a manifest: a member's facts, or its digest."""
    said = asdict(one.file) if one.file is not None else {"digest": one.digest.hex()}
    return {"number": one.number, "state": one.state, "path": one.path, "file": said}
