"""Replicas over JSON, under /catalog/v1/replicas; a status for each file, as in SRM's answers."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

from aiohttp import web
from pydantic import BaseModel, ConfigDict, Field

from mdm_async.catalog.holdings.replicas import Replica
from mdm_async.errors import MdmError
from mdm_async.images.names import replicas
from mdm_async.images.names.replicas import Change, Outcomes
from mdm_async.names import Caller
from mdm_async.web.http.asked import asked
from mdm_async.web.http.fields import Many, SurlText, Text
from mdm_async.web.http.house import HOUSE, House
from mdm_async.web.http.turn import turn
from mdm_async.web.srm.json_renderer import Tree, when
from mdm_async.web.srm.over_json import files_reply, surls_reply
from mdm_async.web.srm.results import Files, SurlStatus

Verb = Callable[[House, Caller, list[Change]], Awaitable[Outcomes]]


class _Form(BaseModel):
    model_config = ConfigDict(extra="forbid")


class SurlsForm(_Form):
    surls: Many[SurlText] = Field(min_length=1)


class ReplicaForm(_Form):
    """`url` null or left out: the copy stored here."""

    surl: SurlText
    url: Text | None = None


class ReplicasForm(_Form):
    replicas: Many[ReplicaForm] = Field(min_length=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplicatedFile(SurlStatus):
    replicas: list[Replica] | None = None


def routes() -> list[web.AbstractRouteDef]:
    return [
        web.post("/catalog/v1/replicas/list", list_replicas),
        web.post("/catalog/v1/replicas/add", _changed_by(_add)),
        web.post("/catalog/v1/replicas/remove", _changed_by(_remove)),
        web.post("/catalog/v1/replicas/master", _changed_by(_set_master)),
    ]


async def list_replicas(request: web.Request) -> web.Response:
    caller, form = await asked(request, SurlsForm)
    async with turn(request, caller, form):
        found = await replicas.listing(request.app[HOUSE].database, caller, form.surls)
        files = [
            ReplicatedFile.failed(surl, one)
            if isinstance(one, MdmError)
            else ReplicatedFile(surl=surl, replicas=one)
            for surl, one in found
        ]
        return files_reply(request, Files.done(files), _told)


async def _add(house: House, caller: Caller, changes: Sequence[Change]) -> Outcomes:
    return await replicas.add(house.database, house.views, house.name_guard, caller, changes)


async def _remove(house: House, caller: Caller, changes: Sequence[Change]) -> Outcomes:
    return await replicas.remove(house.database, caller, changes)


async def _set_master(house: House, caller: Caller, changes: Sequence[Change]) -> Outcomes:
    return await replicas.set_master(house.database, caller, changes)


def _changed_by(verb: Verb) -> Callable[[web.Request], Awaitable[web.Response]]:
    async def change(request: web.Request) -> web.Response:
        caller, form = await asked(request, ReplicasForm)
        changes = [Change(one.surl, one.url) for one in form.replicas]
        async with turn(request, caller, form):
            return surls_reply(request, await verb(request.app[HOUSE], caller, changes))

    return change


def _told(file: ReplicatedFile) -> Tree:
    """The copy stored here is not among them: it is the master when none of these is."""
    if file.replicas is None:
        return {}
    return {
        "replicas": [
            {
                "url": one.url,
                "view": one.view,
                "master": one.master,
                "addedBy": one.added_by,
                "at": when(one.at),
            }
            for one in file.replicas
        ]
    }
