"""What is known of entries; users' own attributes: schemas of collections, and the values that entries carry."""

from dataclasses import dataclass
from functools import partial
from typing import Annotated

from aiohttp import web
from pydantic import BaseModel, ConfigDict, Field, StrictFloat, StrictInt

from mdm_async.errors import MdmError
from mdm_async.images.metadata import describing, schemas, values
from mdm_async.images.metadata.asked import Asked
from mdm_async.images.metadata.describing import Described
from mdm_async.images.metadata.own_kinds import MOST_CHOICES
from mdm_async.images.metadata.rows import Desk
from mdm_async.images.metadata.schemas import MOST_ATTRIBUTES, Schema, Wanted
from mdm_async.images.metadata.tasks import MOST_TAKEN, Taken
from mdm_async.names import parse_view
from mdm_async.querying.words import MOST_CHARACTERS
from mdm_async.web.http.asked import asked
from mdm_async.web.http.fields import Many, SurlText, Text
from mdm_async.web.http.house import HOUSE
from mdm_async.web.http.reply import json_reply
from mdm_async.web.http.turn import turn
from mdm_async.web.srm.json_renderer import Tree, when
from mdm_async.web.srm.over_json import files_reply, surls_reply
from mdm_async.web.srm.results import Files, SurlStatus

MOST_VALUES = 200
"""Set by one request, of each entry."""
MOST_DESCRIBED = 1000
"""By one answer."""
_DESCRIBED_BYTES = 16 << 10
"""What an entry takes in memory, as a row and as text."""
_LEAST_BYTES = 1 << 20
"""For whom one entry has many values of users' own."""
_WEIGHT = 16
"""What is taken is looked for as long as so many files of a request."""
PATH = "/meta/v1"
Given = Annotated[str, Field(max_length=4096)] | StrictInt | StrictFloat | None


class _Form(BaseModel):
    model_config = ConfigDict(extra="forbid")


class SurlForm(_Form):
    surl: SurlText


class SurlsForm(_Form):
    surls: Many[SurlText] = Field(min_length=1)


class DescribedForm(_Form):
    surls: list[SurlText] = Field(min_length=1, max_length=MOST_DESCRIBED)


class ValuesForm(SurlsForm):
    """By `collection.attribute`; null takes a value away."""

    values: dict[Text, Given] = Field(min_length=1, max_length=MOST_VALUES)


class TakeForm(_Form):
    query: str = Field(max_length=MOST_CHARACTERS)
    path: SurlText = "/"
    view: Text | None = None
    values: dict[Text, Given] = Field(min_length=1, max_length=MOST_VALUES)
    count: Annotated[int, Field(strict=True, ge=1, le=MOST_TAKEN)] = 1


class AttributeForm(_Form):
    name: Text
    kind: Text = "text"
    choices: list[Text] | None = Field(default=None, max_length=MOST_CHOICES)


class SchemaForm(SurlForm):
    name: Text


class NewSchemaForm(SchemaForm):
    attributes: list[AttributeForm] = Field(default=[], max_length=MOST_ATTRIBUTES)


class ChangedSchemaForm(SchemaForm):
    add: list[AttributeForm] = Field(default=[], max_length=MOST_ATTRIBUTES)
    remove: list[Text] = Field(default=[], max_length=MOST_ATTRIBUTES)


@dataclass(frozen=True, slots=True, kw_only=True)
class DescribedFile(SurlStatus):
    described: Described | None = None


def routes() -> list[web.AbstractRouteDef]:
    return [
        web.post(f"{PATH}/get", describe),
        web.post(f"{PATH}/set", set_values),
        web.post(f"{PATH}/take", take_entries),
        web.post(f"{PATH}/schemas/show", show_schemas),
        web.post(f"{PATH}/schemas/create", create_schema),
        web.post(f"{PATH}/schemas/change", change_schema),
        web.post(f"{PATH}/schemas/drop", drop_schema),
    ]


async def describe(request: web.Request) -> web.Response:
    caller, form = await asked(request, DescribedForm)
    house = request.app[HOUSE]
    desk = Desk(house.database, house.verdicts, house.views)
    most = max(_LEAST_BYTES, _DESCRIBED_BYTES * len(form.surls))
    with house.budget.holding(caller.payer, most):
        async with turn(request, caller, form):
            found = await describing.describe(desk, house.keys, house.cipher, caller, form.surls, most)
            files = [
                DescribedFile.failed(surl, one)
                if isinstance(one, MdmError)
                else DescribedFile(surl=surl, described=one)
                for surl, one in found
            ]
            return files_reply(request, Files.done(files), _told)


async def set_values(request: web.Request) -> web.Response:
    caller, form = await asked(request, ValuesForm)
    house = request.app[HOUSE]
    async with turn(request, caller, form):
        guard = house.name_guard
        return surls_reply(
            request, await values.set_values(house.database, guard, caller, form.surls, form.values)
        )


async def take_entries(request: web.Request) -> web.Response:
    caller, form = await asked(request, TakeForm)
    house = request.app[HOUSE]
    desk = Desk(house.database, house.verdicts, house.views)
    wanted = Asked(form.query, form.path, parse_view(form.view) if form.view is not None else None)
    with house.desk.turns.serving(caller.payer):
        taken = await house.taking.take(
            desk,
            house.name_guard,
            caller,
            wanted,
            form.values,
            form.count,
            partial(house.desk.turns.turn, caller.payer, _WEIGHT),
        )
        return json_reply(request, {"taken": [_taken(one) for one in taken]})


async def show_schemas(request: web.Request) -> web.Response:
    caller, form = await asked(request, SurlForm)
    async with turn(request, caller, form):
        found = await schemas.show(request.app[HOUSE].database, caller, form.surl)
        return json_reply(request, {"schemas": [_schema(one) for one in found]})


async def create_schema(request: web.Request) -> web.Response:
    caller, form = await asked(request, NewSchemaForm)
    async with turn(request, caller, form):
        wanted = _wanted(form.attributes)
        await schemas.create(request.app[HOUSE].database, caller, form.surl, form.name, wanted)
        return json_reply(request, {}, 201)


async def change_schema(request: web.Request) -> web.Response:
    caller, form = await asked(request, ChangedSchemaForm)
    async with turn(request, caller, form):
        database, wanted = request.app[HOUSE].database, _wanted(form.add)
        await schemas.change(database, caller, form.surl, form.name, wanted, form.remove)
        return json_reply(request, {})


async def drop_schema(request: web.Request) -> web.Response:
    caller, form = await asked(request, SchemaForm)
    async with turn(request, caller, form):
        await schemas.drop(request.app[HOUSE].database, caller, form.surl, form.name)
        return json_reply(request, {})


def _wanted(forms: list[AttributeForm]) -> list[Wanted]:
    return [Wanted(one.name, one.kind, one.choices) for one in forms]


def _told(file: DescribedFile) -> Tree:
    one = file.described
    if one is None:
        return {}
    return {"guid": str(one.entry.guid), "view": one.view, "values": one.said, "own": one.own}


def _taken(one: Taken) -> Tree:
    return {"path": one.lfn, "guid": str(one.row.guid), "view": one.row.view}


def _schema(one: Schema) -> Tree:
    collection = one.collection
    attributes = [
        {"name": each.name, "kind": each.kind}
        | ({} if each.choices is None else {"choices": list(each.choices)})
        for each in collection.attributes.values()
    ]
    return {
        "name": collection.name,
        "at": one.at,
        "madeBy": collection.made_by,
        "made": when(collection.made),
        "attributes": attributes,
    }
