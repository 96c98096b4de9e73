"""mdm fsck over JSON, under /admin/v1: the blobs compared with the catalog, and images looked into."""

from dataclasses import asdict
from uuid import UUID

from aiohttp import web
from pydantic import BaseModel, ConfigDict, Field

from mdm_async.images.upkeep import fsck
from mdm_async.web.http.asked import asked_by_name
from mdm_async.web.http.house import HOUSE
from mdm_async.web.http.reply import json_reply

_FIRST = UUID(int=0)


class FsckForm(BaseModel):
    model_config = ConfigDict(extra="forbid")

    repair: bool = False


class KnownForm(BaseModel):
    model_config = ConfigDict(extra="forbid")

    after: UUID = _FIRST


class DeepForm(BaseModel):
    model_config = ConfigDict(extra="forbid")

    after: UUID = _FIRST
    seconds: float = Field(5.0, ge=0, le=60)
    repair: bool = False


def routes() -> list[web.AbstractRouteDef]:
    return [
        web.post("/admin/v1/fsck", check),
        web.post("/admin/v1/fsck/deep", look),
        web.post("/admin/v1/fsck/known", tell),
    ]


async def check(request: web.Request) -> web.Response:
    caller, form = await asked_by_name(request, FsckForm)
    report = await fsck.fsck(request.app[HOUSE].sweeper, caller, repair=form.repair)
    findings = [asdict(finding) for finding in report.findings]
    counts = {"blobs": report.blobs, "bytes": report.bytes, "more": report.more}
    return json_reply(request, {"findings": findings} | counts)


async def look(request: web.Request) -> web.Response:
    caller, form = await asked_by_name(request, DeepForm)
    checked = await request.app[HOUSE].deep_check.page(caller, form.after, form.seconds, repair=form.repair)
    return json_reply(request, asdict(checked))


async def tell(request: web.Request) -> web.Response:
    caller, form = await asked_by_name(request, KnownForm)
    known, standing = await request.app[HOUSE].deep_check.known(caller, form.after)
    return json_reply(
        request, {"found": asdict(known)["found"], "next": known.next, "check": asdict(standing)}
    )
