"""What directories take in, over JSON under /admin/v1: whether files that break PS3.10 are let in unasked."""

from typing import Literal

from aiohttp import web
from pydantic import BaseModel, ConfigDict

from mdm_async.images.names import forcing
from mdm_async.images.names.forcing import Forcing
from mdm_async.web.http.asked import asked
from mdm_async.web.http.fields import SurlText
from mdm_async.web.http.house import HOUSE
from mdm_async.web.http.reply import json_reply
from mdm_async.web.srm.json_renderer import origin_tree

_FORCE = {"yes": True, "no": False, "inherit": None}


class PlaceForm(BaseModel):
    model_config = ConfigDict(extra="forbid")

    surl: SurlText = "/"


class ForcingForm(PlaceForm):
    force: Literal["yes", "no", "inherit"]


def routes() -> list[web.AbstractRouteDef]:
    return [
        web.post("/admin/v1/intake", get_intake),
        web.put("/admin/v1/intake", set_intake),
    ]


async def get_intake(request: web.Request) -> web.Response:
    caller, form = await asked(request, PlaceForm)
    found = await forcing.get_forcing(request.app[HOUSE].database, caller, form.surl)
    return json_reply(request, _told(found))


async def set_intake(request: web.Request) -> web.Response:
    caller, form = await asked(request, ForcingForm)
    found = await forcing.set_forcing(request.app[HOUSE].database, caller, form.surl, _FORCE[form.force])
    return json_reply(request, _told(found))


def _told(found: Forcing) -> dict[str, object]:
    return {"force": found.force, "byDefault": not found.said, **origin_tree("from", found.origin)}
