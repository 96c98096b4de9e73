"""The audit trail over JSON under /admin/v1, for administrators: its last rows, or all of it page by page."""

import base64
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Annotated, Any
from uuid import UUID

from aiohttp import web
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from mdm_async.audit.rows import moment
from mdm_async.auditing import telling
from mdm_async.auditing.pruning import Pruner
from mdm_async.auditing.telling import Cursor, RowLine, SealLine
from mdm_async.catalog.trail.ledger import FIRST, LAST, Filter
from mdm_async.errors import BadRequest
from mdm_async.names import Lfn
from mdm_async.web.http.asked import asked_by_name
from mdm_async.web.http.fields import Text
from mdm_async.web.http.house import HOUSE
from mdm_async.web.http.reply import json_reply

Moment = Annotated[
    AwareDatetime, Field(ge=datetime(1970, 1, 1, tzinfo=UTC), le=datetime(9000, 1, 1, tzinfo=UTC))
]
"""A time that a row may have, with room to reckon before and after."""


class FilterForm(BaseModel):
    model_config = ConfigDict(extra="forbid")

    since: Moment | None = None
    until: Moment | None = None
    caller: Text | None = Field(None, max_length=4096)
    guid: UUID | None = None
    act: Text | None = Field(None, max_length=256)

    def wanted(self) -> Filter:
        return Filter(since=self.since, until=self.until, caller=self.caller, guid=self.guid, act=self.act)


class ShowForm(FilterForm):
    last: int = Field(50, ge=1, le=telling.PAGE)


class CursorForm(BaseModel):
    model_config = ConfigDict(extra="forbid")

    horizon: int = Field(ge=FIRST, le=LAST)
    seal: int = Field(ge=FIRST, le=LAST)
    row: int = Field(ge=FIRST, le=LAST)
    loose: bool = False


class ExportForm(FilterForm):
    after: int | None = Field(None, ge=0, le=LAST)
    cursor: CursorForm | None = None


class PruneForm(BaseModel):
    model_config = ConfigDict(extra="forbid")

    before: Moment
    really: bool = False


def routes() -> list[web.AbstractRouteDef]:
    return [
        web.post("/admin/v1/audit/show", show),
        web.post("/admin/v1/audit/export", export),
        web.post("/admin/v1/audit/prune", prune),
    ]


async def show(request: web.Request) -> web.Response:
    """The last rows, oldest first; `lfn` is what the entry is called now."""
    caller, form = await asked_by_name(request, ShowForm)
    found = await telling.newest(request.app[HOUSE].database, caller, form.wanted(), form.last)
    return json_reply(request, {"rows": [_shown(line, lfn) for line, lfn in found]})


async def export(request: web.Request) -> web.Response:
    """A page of lines as `mdm audit export` writes them, and the `cursor` to ask for the next with; null at the end.

    The first request has no cursor; its answer begins with a line about the trail.
    """
    caller, form = await asked_by_name(request, ExportForm)
    database, wanted = request.app[HOUSE].database, form.wanted()
    if form.after is not None and wanted.is_set:
        raise BadRequest("seals are left out of a filtered trail", remedy="give `since` instead of `after`")
    lines: list[dict[str, Any]] = []
    if form.cursor is None:
        opening = await telling.begin(database, caller, wanted)
        lines.append(
            {
                "kind": "trail",
                "installation": str(opening.installation),
                "horizon": opening.horizon,
                "now": opening.now,
                "after": form.after,
                "filtered": wanted.is_set,
            }
        )
        page = await telling.page(database, caller, wanted, telling.first_page(opening, form.after))
    else:
        page = await telling.go_on(database, caller, wanted, Cursor(**form.cursor.model_dump()))
    lines += [_line(line) for line in page.lines]
    return json_reply(
        request, {"lines": lines, "cursor": asdict(page.next) if page.next is not None else None}
    )


async def prune(request: web.Request) -> web.Response:
    """What was sealed before a time, or null; `really`, it is removed."""
    caller, form = await asked_by_name(request, PruneForm)
    house = request.app[HOUSE]
    pruner = Pruner(house.lanes.bulk, house.signing_key, house.settings.audit.keep_days)
    found = await pruner.prune(caller, form.before, really=form.really)
    if found is None:
        return json_reply(request, {"pruned": None})
    told = {
        "firstSeal": found.first_seal,
        "lastSeal": found.seals,
        "rows": found.rows,
        "firstRow": found.first_id,
        "lastRow": found.last_id,
        "root": found.root,
    }
    return json_reply(request, {"pruned": told})


def _line(line: RowLine | SealLine) -> dict[str, Any]:
    if isinstance(line, RowLine):
        return {"kind": "row", "seal": line.seal, **line.row}
    index = base64.b64encode(line.index).decode()
    return {"kind": "seal", "number": line.number, "text": line.text, "index": index}


def _shown(line: RowLine, lfn: Lfn | None) -> dict[str, Any]:
    return {**line.row, "time": moment(line.row["at"]), "seal": line.seal, "lfn": lfn}
