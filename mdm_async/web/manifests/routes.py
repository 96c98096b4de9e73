"""`POST /manifests/v1`: a manifest of a study, made for whoever asks; nothing of it is kept."""

from functools import partial
from typing import Final, Literal

from aiohttp import web
from pydantic import BaseModel, ConfigDict, Field

from mdm_async.dicom.filemeta import is_uid
from mdm_async.dicom.manifests import key_objects
from mdm_async.dicom.manifests.manifest import Origin
from mdm_async.errors import BadRequest
from mdm_async.images.studies import manifests
from mdm_async.images.studies.left_out import left_out
from mdm_async.images.studies.searching import MOST_RETRIEVED
from mdm_async.names import parse_view
from mdm_async.web.dicomweb.asked import BASE
from mdm_async.web.http.asked import asked
from mdm_async.web.http.fields import SurlText, Text
from mdm_async.web.http.house import HOUSE
from mdm_async.web.http.reply import reply
from mdm_async.web.manifests import imaging_study
from mdm_async.web.turls.address import TurlAddress

_MOST_NAMED: Final = 100
_HELD: Final = manifests.PAGE * (2048 + 512 * len(manifests.TOLD)) + MOST_RETRIEVED * 1024
"""Bytes that instances take in memory: those of a page as they are found, and all as they are told."""
_WEIGHT: Final = 64
"""A search takes as long as so many files of a request."""
LEFT_OUT: Final = "MDM-Left-Out"
"""How many files the manifest does not tell of, by why."""
_DICOM: Final = "application/dicom"


class ManifestForm(BaseModel):
    model_config = ConfigDict(extra="forbid")

    surls: list[SurlText] = Field(min_length=1, max_length=_MOST_NAMED)
    format: Literal["kos", "fhir"] = "kos"
    view: Text | None = None
    study: Text | None = None


def routes() -> list[web.AbstractRouteDef]:
    return [web.post("/manifests/v1", make)]


async def make(request: web.Request) -> web.Response:
    caller, form = await asked(request, ManifestForm)
    view = parse_view(form.view) if form.view is not None else None
    if form.study is not None and not is_uid(form.study):
        raise BadRequest("the study is no UID")
    house = request.app[HOUSE]
    with house.budget.holding(caller.payer, _HELD), house.desk.turns.serving(caller.payer):
        turn = partial(house.desk.turns.turn, caller.payer, _WEIGHT)
        found, shown, installation = await manifests.manifest(
            house.finding, caller, form.surls, view, form.study, turn
        )
        lacking = await left_out(house.finding, caller, form.surls, shown, turn)
        base = TurlAddress.told_elsewhere(request, house).base
        origin = Origin(f"{base}{BASE}/@{shown}", installation)
        as_fhir = form.format == "fhir"
        made = imaging_study.document if as_fhir else key_objects.document
        document = await house.cipher.run(partial(made, found, origin))
    return reply(
        request,
        document,
        imaging_study.KIND if as_fhir else _DICOM,
        headers={LEFT_OUT: ", ".join(f"{why}={count}" for why, count in lacking.items())},
    )
