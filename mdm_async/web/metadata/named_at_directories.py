"""What directories have under names: sequences, and saved queries."""

from typing import Annotated

from aiohttp import web
from pydantic import BaseModel, ConfigDict, Field

from mdm_async.images.metadata import saved_queries, sequences
from mdm_async.images.metadata.saved_queries import SavedQuery
from mdm_async.images.metadata.sequences import MOST_AT_ONCE
from mdm_async.querying.words import LONGEST_NAME, MOST_CHARACTERS
from mdm_async.web.http.asked import asked
from mdm_async.web.http.fields import SurlText, Text
from mdm_async.web.http.house import HOUSE
from mdm_async.web.http.reply import json_reply
from mdm_async.web.http.turn import turn
from mdm_async.web.srm.json_renderer import Tree, when

_SEQUENCES, _QUERIES = "/meta/v1/sequences", "/meta/v1/queries"
Whole = Annotated[int, Field(strict=True, ge=-(2**60), le=2**60)]


class _Form(BaseModel):
    model_config = ConfigDict(extra="forbid")


class SurlForm(_Form):
    surl: SurlText


class NamedForm(SurlForm):
    name: Text


class NewSequenceForm(NamedForm):
    start: Whole = 1
    step: Whole = 1


class TakenForm(NamedForm):
    count: Annotated[int, Field(strict=True, ge=1, le=MOST_AT_ONCE)] = 1


class SavedForm(NamedForm):
    query: str = Field(max_length=MOST_CHARACTERS)
    select: list[Annotated[Text, Field(max_length=LONGEST_NAME)]] = Field(default=[], max_length=100)
    view: Text | None = None


def routes() -> list[web.AbstractRouteDef]:
    return [
        web.post(f"{_SEQUENCES}/list", list_sequences),
        web.post(f"{_SEQUENCES}/create", create_sequence),
        web.post(f"{_SEQUENCES}/next", take_numbers),
        web.post(f"{_SEQUENCES}/remove", remove_sequence),
        web.post(f"{_QUERIES}/list", list_queries),
        web.post(f"{_QUERIES}/show", show_query),
        web.post(f"{_QUERIES}/save", save_query),
        web.post(f"{_QUERIES}/remove", remove_query),
    ]


async def list_sequences(request: web.Request) -> web.Response:
    caller, form = await asked(request, SurlForm)
    async with turn(request, caller, form):
        found = await sequences.listing(request.app[HOUSE].database, caller, form.surl)
        told = [{"name": one.name, "next": one.next, "step": one.step} for one in found]
        return json_reply(request, {"sequences": told})


async def create_sequence(request: web.Request) -> web.Response:
    caller, form = await asked(request, NewSequenceForm)
    async with turn(request, caller, form):
        database = request.app[HOUSE].database
        await sequences.create(database, caller, form.surl, form.name, start=form.start, step=form.step)
        return json_reply(request, {}, 201)


async def take_numbers(request: web.Request) -> web.Response:
    caller, form = await asked(request, TakenForm)
    async with turn(request, caller, form):
        taken = await sequences.take(request.app[HOUSE].database, caller, form.surl, form.name, form.count)
        return json_reply(request, {"numbers": list(taken)})


async def remove_sequence(request: web.Request) -> web.Response:
    caller, form = await asked(request, NamedForm)
    async with turn(request, caller, form):
        await sequences.remove(request.app[HOUSE].database, caller, form.surl, form.name)
        return json_reply(request, {})


async def list_queries(request: web.Request) -> web.Response:
    caller, form = await asked(request, SurlForm)
    house = request.app[HOUSE]
    async with turn(request, caller, form):
        found = await saved_queries.listing(house.database, house.user_text, caller, form.surl)
        return json_reply(request, {"queries": [_saved(one) for one in found]})


async def show_query(request: web.Request) -> web.Response:
    caller, form = await asked(request, NamedForm)
    house = request.app[HOUSE]
    async with turn(request, caller, form):
        found = await saved_queries.show(house.database, house.user_text, caller, form.surl, form.name)
        return json_reply(request, _saved(found))


async def save_query(request: web.Request) -> web.Response:
    caller, form = await asked(request, SavedForm)
    house = request.app[HOUSE]
    async with turn(request, caller, form):
        query = form.model_dump(include={"query", "select", "view"}, exclude_defaults=True)
        await saved_queries.save(house.database, house.user_text, caller, form.surl, form.name, query)
        return json_reply(request, {}, 201)


async def remove_query(request: web.Request) -> web.Response:
    caller, form = await asked(request, NamedForm)
    async with turn(request, caller, form):
        await saved_queries.remove(request.app[HOUSE].database, caller, form.surl, form.name)
        return json_reply(request, {})


def _saved(one: SavedQuery) -> Tree:
    return {"name": one.name, **one.asked, "madeBy": one.made_by, "made": when(one.made)}
