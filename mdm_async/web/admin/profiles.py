"""De-identification profiles, reports, pseudonyms and projects' links, over JSON under /admin/v1."""

from dataclasses import asdict, dataclass
from typing import Any

from aiohttp import web
from pydantic import BaseModel, ConfigDict, Field

from mdm_async.dicom.dictionary import for_people
from mdm_async.dicom.scrub import REVISION
from mdm_async.errors import MdmError
from mdm_async.images.names import linking
from mdm_async.images.names.linking import Linked
from mdm_async.images.names.path_template import DEFAULT
from mdm_async.images.views import profiles, pseudonyms, quarantine, report, survivors
from mdm_async.images.views.certifying import Certifier, certificate
from mdm_async.images.views.profiles import Description
from mdm_async.images.views.report import ImageReport
from mdm_async.images.views.survivors import Attribute
from mdm_async.web.http.asked import asked_by_name
from mdm_async.web.http.credential import identified_caller_of
from mdm_async.web.http.fields import Many, SurlText, Text
from mdm_async.web.http.house import HOUSE
from mdm_async.web.http.reply import json_reply
from mdm_async.web.srm.json_renderer import Tree
from mdm_async.web.srm.over_json import files_reply, surls_reply
from mdm_async.web.srm.results import Files, SurlStatus


class _Form(BaseModel):
    model_config = ConfigDict(extra="forbid")


class ProfileForm(_Form):
    toml: str = Field(max_length=1 << 20)


class PlaceForm(_Form):
    surl: SurlText = "/"


class ApplyForm(PlaceForm):
    default: bool = False


class SurvivorsForm(PlaceForm):
    after: tuple[int, Text] | None = None


class SurlsForm(_Form):
    surls: Many[SurlText] = Field(min_length=1)


class LookupForm(_Form):
    pseudonym: str = Field(max_length=128)


class LinkForm(_Form):
    surls: Many[SurlText] = Field(min_length=1)
    target: SurlText
    view: Text
    template: Text = DEFAULT


@dataclass(frozen=True, slots=True, kw_only=True)
class LinkedFile(SurlStatus):
    linked: Linked | None = None


def routes() -> list[web.AbstractRouteDef]:
    return [
        web.get("/admin/v1/profiles", list_profiles),
        web.post("/admin/v1/profiles", add_profile),
        web.get("/admin/v1/profiles/{name}", show_profile),
        web.post("/admin/v1/profiles/{name}/plan", plan),
        web.post("/admin/v1/profiles/{name}/apply", apply),
        web.post("/admin/v1/profiles/{name}/progress", progress),
        web.post("/admin/v1/profiles/{name}/release", release),
        web.post("/admin/v1/report", make_report),
        web.post("/admin/v1/certificate", certify),
        web.post("/admin/v1/survivors", list_survivors),
        web.post("/admin/v1/pseudonyms/lookup", look_up),
        web.post("/admin/v1/link", link),
    ]


async def list_profiles(request: web.Request) -> web.Response:
    house = request.app[HOUSE]
    found = await profiles.listing(house.database, house.views, await identified_caller_of(request))
    return json_reply(request, {"profiles": [_profile(one) for one in found]})


async def show_profile(request: web.Request) -> web.Response:
    caller, name = await identified_caller_of(request), request.match_info["name"]
    house = request.app[HOUSE]
    found = await profiles.show(house.database, house.views, caller, name)
    return json_reply(request, {**_profile(found), "toml": found.source})


async def add_profile(request: web.Request) -> web.Response:
    caller, form = await asked_by_name(request, ProfileForm)
    house = request.app[HOUSE]
    profile, before = await profiles.add(
        house.database, house.shelf, house.workshop.hooks, house.changed, caller, form.toml
    )
    tree = {"name": profile.name, "digest": profile.digest, "replaced": before}
    return json_reply(request, {**tree, "warnings": profile.warnings}, 201)


async def plan(request: web.Request) -> web.Response:
    caller, form = await asked_by_name(request, PlaceForm)
    name = request.match_info["name"]
    house = request.app[HOUSE]
    found = await profiles.plan(house.workshop.on(house.lanes.bulk), house.shelf, caller, name, form.surl)
    return json_reply(
        request,
        {
            "images": found.images,
            "heads": found.heads,
            "pixels": found.pixels,
            "pixelBytes": found.pixel_bytes,
        },
    )


async def apply(request: web.Request) -> web.Response:
    """202: the views are made in the background; ask for the progress."""
    caller, form = await asked_by_name(request, ApplyForm)
    name = request.match_info["name"]
    house = request.app[HOUSE]
    await profiles.apply(
        house.lanes.bulk,
        house.views,
        house.changed,
        caller,
        name,
        form.surl,
        default=form.default,
    )
    found = await profiles.progress(house.lanes.bulk, house.views, caller, name, form.surl)
    return json_reply(request, _states(found), 202)


async def progress(request: web.Request) -> web.Response:
    caller, form = await asked_by_name(request, PlaceForm)
    name = request.match_info["name"]
    house = request.app[HOUSE]
    found = await profiles.progress(house.lanes.bulk, house.views, caller, name, form.surl)
    return json_reply(request, _states(found))


async def release(request: web.Request) -> web.Response:
    caller, form = await asked_by_name(request, SurlsForm)
    name = request.match_info["name"]
    house = request.app[HOUSE]
    outcomes = await quarantine.release(house.workshop, house.shelf, caller, name, form.surls)
    return surls_reply(request, outcomes)


async def make_report(request: web.Request) -> web.Response:
    caller, form = await asked_by_name(request, PlaceForm)
    house = request.app[HOUSE]
    found = await report.report(
        house.lanes.bulk, house.shelf, house.cipher, house.verdicts, caller, form.surl
    )
    profile = found.served.profile
    return json_reply(
        request,
        {
            "view": found.served.view,
            "base": profile.base,
            "edition": profile.edition,
            "digest": profile.digest,
            "revision": REVISION,
            "options": sorted(profile.options),
            "files": [_report(one) for one in found.files],
        },
    )


async def certify(request: web.Request) -> web.Response:
    caller, form = await asked_by_name(request, PlaceForm)
    house = request.app[HOUSE]
    certifier = Certifier(house.workshop.on(house.lanes.bulk), house.shelf, house.verdicts, house.signing_key)
    return json_reply(request, {"certificate": await certificate(certifier, caller, form.surl)})


async def list_survivors(request: web.Request) -> web.Response:
    caller, form = await asked_by_name(request, SurvivorsForm)
    house = request.app[HOUSE]
    found = await survivors.survivors(
        house.workshop.on(house.lanes.bulk), house.shelf, house.verdicts, caller, form.surl, form.after
    )
    return json_reply(
        request,
        {
            "digest": found.digest,
            "files": found.files,
            "withheld": found.withheld,
            "total": found.total,
            "attributes": [_left(one) for one in found.attributes],
            "after": found.after,
        },
    )


async def look_up(request: web.Request) -> web.Response:
    caller, form = await asked_by_name(request, LookupForm)
    house = request.app[HOUSE]
    found = await pseudonyms.lookup(house.workshop, house.shelf, caller, form.pseudonym)
    return json_reply(request, {"matches": [asdict(match) for match in found]})


async def link(request: web.Request) -> web.Response:
    caller, form = await asked_by_name(request, LinkForm)
    house = request.app[HOUSE]
    linker = linking.Linker(
        house.database, house.shelf, house.blobs, house.cipher, house.name_guard, house.settings.delivery
    )
    linked = await linking.link(linker, caller, form.surls, form.target, form.view, form.template)
    files = [
        LinkedFile.failed(surl, one) if isinstance(one, MdmError) else LinkedFile(surl=surl, linked=one)
        for surl, one in linked
    ]
    return files_reply(request, Files.done(files), _linked)


def _linked(file: LinkedFile) -> Tree:
    return {} if file.linked is None else {"guid": str(file.linked.guid), "lfn": file.linked.lfn}


def _profile(found: Description) -> dict[str, Any]:
    profile = found.profile
    return {
        "name": profile.name,
        "base": profile.base,
        "options": sorted(profile.options),
        "project": profile.project,
        "burnedIn": profile.burned_in,
        "documents": profile.documents,
        "digest": profile.digest,
        "revision": found.revision,
        "builtIn": found.added is None,
        "added": found.added,
        "addedBy": found.added_by,
        "warnings": profile.warnings,
    }


def _states(found: dict[str, int]) -> dict[str, int]:
    return {state: found.get(state, 0) for state in ("ready", "refused", "quarantined", "pending")}


def _left(one: Attribute) -> dict[str, Any]:
    tag, name = for_people(one.tag)
    return {"tag": tag, "name": name, "vr": one.vr, "texts": one.texts, "more": one.more}


def _report(one: ImageReport) -> dict[str, Any]:
    return {
        "guid": str(one.guid),
        "state": one.state,
        "reason": one.reason,
        "version": one.version,
        "study": one.study,
        "pixels": one.pixels,
        "touched": list(one.touched),
        "stayed": list(one.stayed),
        "warnings": list(one.warnings),
    }
