"""The hospital's archives: asked, searched, and registered at, over JSON under /admin/v1. UIDs stand in no URL."""

from math import ceil

from aiohttp import web
from pydantic import BaseModel, ConfigDict, Field

from mdm_async.dicom.rejection_notes import REASONS
from mdm_async.errors import PeerFailed, SourceAway
from mdm_async.images.names.path_template import DEFAULT, PathTemplate
from mdm_async.images.upkeep import rejected
from mdm_async.images.upkeep.rejected import Named
from mdm_async.pacs.sources import archives, asking, waiting_there
from mdm_async.pacs.sources.archives import ArchiveStanding
from mdm_async.pacs.sources.asking import Wanted
from mdm_async.pacs.sources.registering import Registrar
from mdm_async.pacs.sources.waiting_there import After
from mdm_async.web.http.asked import asked_by_name
from mdm_async.web.http.credential import identified_caller_of
from mdm_async.web.http.fields import SurlText, Text
from mdm_async.web.http.house import HOUSE, House
from mdm_async.web.http.reply import json_reply


class EchoForm(BaseModel):
    model_config = ConfigDict(extra="forbid")


class WantedForm(BaseModel):
    model_config = ConfigDict(extra="forbid")

    study: str | None = Field(None, max_length=64)
    query: Text | None = None

    def wanted(self) -> Wanted:
        return Wanted.parse(self.study, self.query)


class RegisterForm(WantedForm):
    path: SurlText
    template: Text = DEFAULT
    begin: int = Field(0, ge=0)


class VanishedForm(BaseModel):
    model_config = ConfigDict(extra="forbid")

    study: str | None = Field(None, max_length=64)
    since: float = Field(ge=0, le=1e11)


class FilesForm(BaseModel):
    model_config = ConfigDict(extra="forbid")

    study: str | None = Field(None, max_length=64)
    after: str | None = Field(None, max_length=256)
    gone: bool = False


class RejectedForm(BaseModel):
    """`after`: where the page before it told to go on."""

    model_config = ConfigDict(extra="forbid")

    after: int = Field(0, ge=0, lt=1 << 63)


def routes() -> list[web.AbstractRouteDef]:
    return [
        web.get("/admin/v1/archives", show),
        web.post("/admin/v1/archives/{name}/echo", echo),
        web.post("/admin/v1/archives/{name}/find", find),
        web.post("/admin/v1/archives/{name}/count", count),
        web.post("/admin/v1/archives/{name}/register", register),
        web.post("/admin/v1/archives/{name}/vanished", vanished),
        web.post("/admin/v1/archives/{name}/files", files),
        web.post("/admin/v1/rejected", show_rejected),
    ]


async def show(request: web.Request) -> web.Response:
    caller, house = await identified_caller_of(request), request.app[HOUSE]
    found = await archives.standing(house.database, house.archives, caller)
    return json_reply(request, {"archives": [_standing(one) for one in found]})


def _standing(one: ArchiveStanding) -> dict[str, object]:
    return {
        "name": one.name,
        "answers": one.answers,
        "reason": one.away_for,
        "hours": one.hours,
        "opensInSeconds": ceil(one.closed),
        "noRoom": one.no_room,
        "secondsPerImage": round(one.seconds, 3),
        "waiting": one.queue.length,
        "taken": one.queue.taken,
        "failed": one.queue.failed,
        "oldestSeconds": one.queue.oldest,
    }


async def echo(request: web.Request) -> web.Response:
    """200 also when the archive does not answer, which is what was asked."""
    caller, _ = await asked_by_name(request, EchoForm)
    house = request.app[HOUSE]
    try:
        seconds = await asking.echo(house.database, house.archives, caller, request.match_info["name"])
    except (SourceAway, PeerFailed) as why:
        return json_reply(
            request, {"answers": False, "type": why.urn, "reason": why.detail, "remedy": why.remedy}
        )
    return json_reply(request, {"answers": True, "seconds": round(seconds, 4)})


async def find(request: web.Request) -> web.Response:
    caller, form = await asked_by_name(request, WantedForm)
    house, name = request.app[HOUSE], request.match_info["name"]
    found = await asking.find(house.database, house.archives, caller, name, form.wanted())
    return json_reply(request, {"studies": found.studies, "more": found.more})


async def count(request: web.Request) -> web.Response:
    caller, form = await asked_by_name(request, WantedForm)
    house, name = request.app[HOUSE], request.match_info["name"]
    return json_reply(request, {"studies": await _registrar(house).count(caller, name, form.wanted())})


async def register(request: web.Request) -> web.Response:
    caller, form = await asked_by_name(request, RegisterForm)
    house, name = request.app[HOUSE], request.match_info["name"]
    done = await _registrar(house).page(
        caller, name, form.wanted(), form.path, PathTemplate(form.template), form.begin
    )
    return json_reply(
        request,
        {
            "studies": done.studies,
            "registered": done.registered,
            "there": done.there,
            "vanished": done.vanished,
            "failed": done.failed,
            "next": done.next,
            "at": done.at,
        },
    )


async def vanished(request: web.Request) -> web.Response:
    caller, form = await asked_by_name(request, VanishedForm)
    house, name = request.app[HOUSE], request.match_info["name"]
    marked = await _registrar(house).vanished(caller, name, form.study, form.since)
    return json_reply(request, {"vanished": marked or 0, "more": marked is not None})


async def files(request: web.Request) -> web.Response:
    caller, form = await asked_by_name(request, FilesForm)
    house, name = request.app[HOUSE], request.match_info["name"]
    after = After.parse(form.after) if form.after is not None else None
    found, last = await waiting_there.files(
        house.database,
        house.archives,
        house.workshop.blind,
        caller,
        name,
        form.study,
        after,
        gone=form.gone,
    )
    return json_reply(request, {"paths": found, "after": str(last) if last is not None else None})


def _registrar(house: House) -> Registrar:
    return Registrar(house.database, house.archives, house.keys, house.views, house.workshop)


async def show_rejected(request: web.Request) -> web.Response:
    caller, form = await asked_by_name(request, RejectedForm)
    found, after = await rejected.rejected(request.app[HOUSE].database, caller, form.after)
    files_ = [
        {
            **_named(one.file),
            "code": one.code,
            "reason": REASONS[one.code],
            "since": one.at.isoformat(timespec="seconds"),
            "notes": [_named(note) for note in one.notes],
        }
        for one in found
    ]
    return json_reply(request, {"files": files_, "after": after})


def _named(one: Named) -> dict[str, str | None]:
    return {"guid": str(one.guid), "path": one.lfn}
