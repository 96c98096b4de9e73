"""Projects' own mappings of patients to subjects over JSON, under /admin/v1."""

from aiohttp import web
from pydantic import BaseModel, ConfigDict, Field

from mdm_async.dicom.mapping import MOST_CHARACTERS
from mdm_async.images.views import mappings
from mdm_async.names import Project, parse_project
from mdm_async.web.http.asked import asked_by_name
from mdm_async.web.http.credential import identified_caller_of
from mdm_async.web.http.house import HOUSE
from mdm_async.web.http.reply import json_reply

_PATH = "/admin/v1/projects/{project}/mapping"


class MappingForm(BaseModel):
    model_config = ConfigDict(extra="forbid")

    csv: str = Field(max_length=MOST_CHARACTERS)


def routes() -> list[web.AbstractRouteDef]:
    return [web.put(_PATH, put_mapping), web.get(_PATH, show_mapping), web.delete(_PATH, unset_mapping)]


async def put_mapping(request: web.Request) -> web.Response:
    caller, form = await asked_by_name(request, MappingForm)
    house, project = request.app[HOUSE], _project(request)
    done = await mappings.put(house.database, house.shelf, house.changed, caller, project, form.csv)
    told = {"patients": done.patients, "anew": done.anew, "warnings": done.warnings}
    return json_reply(request, {"project": project, **told})


async def show_mapping(request: web.Request) -> web.Response:
    caller = await identified_caller_of(request)
    house, project = request.app[HOUSE], _project(request)
    found = await mappings.show(house.database, house.shelf, caller, project)
    told = {"csv": found.csv, "patients": found.patients, "set": found.set, "setBy": found.set_by}
    return json_reply(request, {"project": project, **told})


async def unset_mapping(request: web.Request) -> web.Response:
    caller = await identified_caller_of(request)
    house, project = request.app[HOUSE], _project(request)
    anew = await mappings.unset(house.database, house.shelf, house.changed, caller, project)
    return json_reply(request, {"project": project, "anew": anew})


def _project(request: web.Request) -> Project:
    return parse_project(request.match_info["project"])
