"""Replicas over JSON, under /catalog/v1/replicas; a status for each file, as in SRM's answers."""

from collections.abc import Awaitable, Callable, Sequence

from aiohttp import web
from pydantic import BaseModel, ConfigDict, Field

from mdm_async.catalog.holdings.replicas import Replica
from mdm_async.errors import BadRequest, MdmError, Unauthenticated
from mdm_async.images.archive import Archive
from mdm_async.images.names import replicas
from mdm_async.images.names.replicas import Change, Outcomes
from mdm_async.names import Caller
from mdm_async.web.http import problem
from mdm_async.web.http.answer import json_answer
from mdm_async.web.http.body import parse
from mdm_async.web.http.channel import caller_of
from mdm_async.web.http.house import HOUSE
from mdm_async.web.srm.answers import Answer, Tree, many, when
from mdm_async.web.srm.forms import Text

Verb = Callable[[Archive, Caller, list[Change]], Awaitable[Outcomes]]


class _Form(BaseModel):
    model_config = ConfigDict(extra="forbid")


class SurlsForm(_Form):
    surls: list[Text] = Field(min_length=1)


class ReplicaForm(_Form):
    """`url` null or left out: the copy stored here."""

    surl: Text
    url: Text | None = None


class ReplicasForm(_Form):
    replicas: list[ReplicaForm] = Field(min_length=1)


def routes() -> list[web.AbstractRouteDef]:
    return [
        web.post("/catalog/v1/replicas/list", list_replicas),
        web.post("/catalog/v1/replicas/add", _changed_by(_add)),
        web.post("/catalog/v1/replicas/remove", _changed_by(_remove)),
        web.post("/catalog/v1/replicas/master", _changed_by(_set_master)),
    ]


async def list_replicas(request: web.Request) -> web.Response:
    caller = await caller_of(request)
    asked = await parse(request, SurlsForm)
    _demand_few(request, len(asked.surls))
    found = await replicas.listing(request.app[HOUSE].archive.database, caller, asked.surls)
    return _answer(
        request, many([(surl, one if isinstance(one, MdmError) else _told(one)) for surl, one in found])
    )


async def _add(archive: Archive, caller: Caller, changes: Sequence[Change]) -> Outcomes:
    return await replicas.add(archive.database, archive.views, caller, changes)


async def _remove(archive: Archive, caller: Caller, changes: Sequence[Change]) -> Outcomes:
    return await replicas.remove(archive.database, caller, changes)


async def _set_master(archive: Archive, caller: Caller, changes: Sequence[Change]) -> Outcomes:
    return await replicas.set_master(archive.database, caller, changes)


def _changed_by(verb: Verb) -> Callable[[web.Request], Awaitable[web.Response]]:
    async def change(request: web.Request) -> web.Response:
        caller = await caller_of(request)
        asked = await parse(request, ReplicasForm)
        _demand_few(request, len(asked.replicas))
        changes = [Change(one.surl, one.url) for one in asked.replicas]
        outcomes = await verb(request.app[HOUSE].archive, caller, changes)
        return _answer(request, many([(surl, why or {}) for surl, why in outcomes]))

    return change


def _told(found: list[Replica]) -> Tree:
    """The copy stored here is not among them: it is the master when none of these is."""
    return {
        "replicas": [
            {
                "url": one.url,
                "view": one.view,
                "master": one.master,
                "addedBy": one.added_by,
                "at": when(one.at),
            }
            for one in found
        ]
    }


def _answer(request: web.Request, answer: Answer) -> web.Response:
    problem.note(request, answer.errors)
    response = json_answer(answer.tree, answer.http)
    if answer.http == Unauthenticated.http:
        response.headers["WWW-Authenticate"] = problem.CHALLENGE
    return response


def _demand_few(request: web.Request, count: int) -> None:
    most = request.app[HOUSE].archive.settings.transfers.max_bulk
    if count > most:
        raise BadRequest(f"a request names {most} files at the most", remedy="send several requests")
