"""Cohorts: made, listed, shown, compared, deleted. Their files are pulled as all are: prepareToGet takes a cohort."""

from dataclasses import asdict
from typing import Annotated, Any, Self

from aiohttp import web
from pydantic import BaseModel, ConfigDict, Field, model_validator

from mdm_async.images.cohorts import choosing, comparing, making, showing
from mdm_async.images.cohorts.making import Selection
from mdm_async.images.cohorts.showing import Told
from mdm_async.images.metadata.joining import MOST_JOINS
from mdm_async.names import parse_surl, parse_view, split
from mdm_async.querying.words import LONGEST_NAME, MOST_CHARACTERS
from mdm_async.web.http import cursor
from mdm_async.web.http.asked import asked
from mdm_async.web.http.fields import Many, SurlText, Text
from mdm_async.web.http.house import HOUSE
from mdm_async.web.http.reply import json_reply
from mdm_async.web.http.turn import turn

Alias = Annotated[Text, Field(max_length=LONGEST_NAME)]


class _Form(BaseModel):
    model_config = ConfigDict(extra="forbid")


class CohortForm(_Form):
    """`surl`: the directory's path, and behind it the cohort's name."""

    surl: SurlText


class CreateForm(CohortForm):
    """Either files, or a query of what is at and below `path`, where it is given, or else the cohort's directory."""

    files: Many[SurlText] | None = Field(None, min_length=1)
    query: str | None = Field(None, max_length=MOST_CHARACTERS)
    path: SurlText | None = None
    joins: dict[Alias, SurlText] = Field({}, max_length=MOST_JOINS)
    view: Text | None = None

    @model_validator(mode="after")
    def _is_one_of_both(self) -> Self:
        if (self.files is None) is (self.query is None):
            raise ValueError("a cohort is of files, or of a query: give one of the two")
        if self.query is None and (self.path is not None or self.joins):
            raise ValueError("a list is not searched: leave out path and joins")
        return self


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
    own = house.cohorts
    with house.desk.turns.serving(caller.payer):
        if form.query is not None:
            at = form.path if form.path is not None else split(parse_surl(form.surl).lfn)[0]
            query = await choosing.asked_at(own.desk, caller, form.query, at, form.joins)
            selection = Selection(
                choosing.selected(own.desk, own.shelf, own.turns, caller, query, view), view, query
            )
        else:
            files = choosing.listed(own.database, house.views, caller, form.files or [], view)
            selection = Selection(files, view)
        made = await making.create(own, caller, form.surl, selection)
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
        found = await comparing.compare(house.cohorts, caller, form.surl)
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
