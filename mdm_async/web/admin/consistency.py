"""mdm fsck over JSON, under /admin/v1: the blobs compared with the catalog."""

from dataclasses import asdict

from aiohttp import web
from pydantic import BaseModel, ConfigDict

from mdm_async.images.upkeep import fsck
from mdm_async.web.http.asked import asked_by_name
from mdm_async.web.http.house import HOUSE
from mdm_async.web.http.reply import json_reply


class FsckForm(BaseModel):
    model_config = ConfigDict(extra="forbid")

    repair: bool = False


def routes() -> list[web.AbstractRouteDef]:
    return [web.post("/admin/v1/fsck", check)]


async def check(request: web.Request) -> web.Response:
    caller, form = await asked_by_name(request, FsckForm)
    report = await fsck.fsck(request.app[HOUSE].sweeper, caller, repair=form.repair)
    findings = [asdict(finding) for finding in report.findings]
    counts = {"blobs": report.blobs, "bytes": report.bytes, "more": report.more}
    return json_reply(request, {"findings": findings} | counts)
