"""The cache of images from archives, over JSON under /admin/v1: how it stands, and what is let go of it."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from aiohttp import web
from pydantic import BaseModel, ConfigDict, Field

from mdm_async.catalog.grants.evicting import Place
from mdm_async.errors import BadRequest, MdmError
from mdm_async.images.upkeep import cache
from mdm_async.web.http.asked import asked_by_name
from mdm_async.web.http.credential import identified_caller_of
from mdm_async.web.http.fields import Many, SurlText
from mdm_async.web.http.house import HOUSE
from mdm_async.web.http.reply import json_reply
from mdm_async.web.http.turn import turn
from mdm_async.web.srm.json_renderer import Tree
from mdm_async.web.srm.over_json import files_reply
from mdm_async.web.srm.results import Files, SurlStatus


class EvictForm(BaseModel):
    model_config = ConfigDict(extra="forbid")

    surls: Many[SurlText] = Field(min_length=1)
    dry: bool = False


class RoomForm(BaseModel):
    """So many bytes, or all that may go, a page at a time: `after` is where the page before it told to go on."""

    model_config = ConfigDict(extra="forbid")

    bytes: int | None = Field(None, ge=1)
    after: str | None = Field(None, max_length=100)
    dry: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class EvictedFile(SurlStatus):
    bytes: int = 0


def routes() -> list[web.AbstractRouteDef]:
    return [
        web.get("/admin/v1/cache", show),
        web.post("/admin/v1/cache/evict", evict),
        web.post("/admin/v1/cache/room", make_room),
    ]


async def show(request: web.Request) -> web.Response:
    caller, house = await identified_caller_of(request), request.app[HOUSE]
    found, settings = await cache.standing(house.cache, caller), house.settings.cache
    return json_reply(
        request,
        {
            "quota": settings.quota,
            "whenFull": settings.when_full,
            "used": found.totals.here,
            "inFlight": found.totals.coming,
            "images": found.totals.images,
            "evictable": found.evictable,
            "kept": found.kept,
            "pinnedBy": found.pinned,
            "more": found.more,
            "hits": house.cache.hits,
            "misses": house.cache.misses,
        },
    )


async def evict(request: web.Request) -> web.Response:
    caller, form = await asked_by_name(request, EvictForm)
    async with turn(request, caller, form):
        found = await cache.evict_files(request.app[HOUSE].cache, caller, form.surls, dry_run=form.dry)
    files = [
        EvictedFile.failed(surl, one) if isinstance(one, MdmError) else EvictedFile(surl=surl, bytes=one)
        for surl, one in found
    ]
    return files_reply(request, Files.done(files), _told)


def _told(file: EvictedFile) -> Tree:
    return {"bytes": file.bytes}


async def make_room(request: web.Request) -> web.Response:
    caller, form = await asked_by_name(request, RoomForm)
    own, after = request.app[HOUSE].cache, _place(form.after)
    async with turn(request, caller, form):
        made = await cache.make_room(own, caller, form.bytes, after, dry_run=form.dry)
    return json_reply(
        request,
        {
            "images": made.images,
            "bytes": made.bytes,
            "kept": dict(made.kept),
            "after": f"{made.next[0].isoformat()} {made.next[1]}" if made.next is not None else None,
        },
    )


def _place(text: str | None) -> Place | None:
    if text is None:
        return None
    try:
        used, _, image = text.partition(" ")
        place = datetime.fromisoformat(used), UUID(image)
        if place[0].tzinfo is not None:
            return place
    except ValueError:
        pass
    raise BadRequest("'after' is not what a page before told", remedy="leave it out")
