"""What directories take in, over JSON under /admin/v1: files that break PS3.10, and files that are not DICOM."""

from collections.abc import Mapping
from typing import Literal

from aiohttp import web
from pydantic import BaseModel, ConfigDict, model_validator

from mdm_async.catalog.namespace.taking import What
from mdm_async.images.names import taking
from mdm_async.images.names.taking import Taking
from mdm_async.web.http.asked import asked
from mdm_async.web.http.fields import SurlText
from mdm_async.web.http.house import HOUSE
from mdm_async.web.http.reply import json_reply
from mdm_async.web.srm.json_renderer import origin_tree

_SAID = {"yes": True, "no": False, "inherit": None}
_Said = Literal["yes", "no", "inherit"]


class PlaceForm(BaseModel):
    model_config = ConfigDict(extra="forbid")

    surl: SurlText = "/"


class TakingForm(PlaceForm):
    force: _Said | None = None
    opaque: _Said | None = None

    @model_validator(mode="after")
    def says_something(self) -> "TakingForm":
        if not self.said:
            raise ValueError("say 'force' or 'opaque'")
        return self

    @property
    def said(self) -> dict[What, bool | None]:
        said: dict[What, bool | None] = {}
        if self.force is not None:
            said["force"] = _SAID[self.force]
        if self.opaque is not None:
            said["opaque"] = _SAID[self.opaque]
        return said


def routes() -> list[web.AbstractRouteDef]:
    return [
        web.post("/admin/v1/intake", get_intake),
        web.put("/admin/v1/intake", set_intake),
    ]


async def get_intake(request: web.Request) -> web.Response:
    caller, form = await asked(request, PlaceForm)
    found = await taking.get_taking(request.app[HOUSE].database, caller, form.surl)
    return json_reply(request, _told(found))


async def set_intake(request: web.Request) -> web.Response:
    caller, form = await asked(request, TakingForm)
    found = await taking.set_taking(request.app[HOUSE].database, caller, form.surl, form.said)
    return json_reply(request, _told(found))


def _told(found: Mapping[What, Taking]) -> dict[str, object]:
    return {**_tree("force", found["force"]), "forOpaque": _tree("opaque", found["opaque"])}


def _tree(what: What, found: Taking) -> dict[str, object]:
    return {what: found.yes, "byDefault": not found.said, **origin_tree("from", found.origin)}
