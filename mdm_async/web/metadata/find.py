"""Queries: an answer is a stream of lines of JSON, page by page as it is found, so that it may have any length.

The first line names the columns; each of the following has some matches, and the cursor that leads on behind them;
the last one says that it is the last, or why no more come.
"""

import time
from typing import Annotated, Any, Final

import orjson
from aiohttp import HttpVersion11, web
from pydantic import BaseModel, ConfigDict, Field

from mdm_async.catalog.metadata.columns import DicomAttribute
from mdm_async.errors import MdmError
from mdm_async.images.budget import Held
from mdm_async.images.metadata import finding, naming
from mdm_async.images.metadata.asked import MOST_CHOSEN, Asked, Match, Page
from mdm_async.images.metadata.finding import Search
from mdm_async.images.metadata.joining import MOST_JOINS
from mdm_async.names import Caller, parse_view
from mdm_async.querying.attributes import Attribute
from mdm_async.querying.words import LONGEST_NAME, MOST_CHARACTERS
from mdm_async.web.http import problem
from mdm_async.web.http.asked import asked
from mdm_async.web.http.fields import SurlText, Text
from mdm_async.web.http.house import HOUSE, House
from mdm_async.web.http.reply import json_reply, request_id

KIND: Final = "application/x-ndjson"
_PAGE_BYTES: Final = 1 << 20
"""What a page takes in memory, as rows and as text."""
_KEPT_BYTES: Final = 8 << 20
"""What a join takes, or an order."""
_WEIGHT: Final = 64
"""A page takes as long as so many files of a request."""
_ON_A_LINE: Final = 100
_END: Final = b'{"end":true}\n'
_PATIENCE: Final = 1.0
"""Seconds after which a line is told that is not full, or an empty one."""

Name = Annotated[Text, Field(max_length=LONGEST_NAME)]


class FindForm(BaseModel):
    model_config = ConfigDict(extra="forbid")

    query: str = Field(max_length=MOST_CHARACTERS)
    path: SurlText = "/"
    view: Text | None = None
    select: list[Name] = Field([], max_length=MOST_CHOSEN)
    order: list[Name] = Field([], max_length=MOST_CHOSEN)
    joins: dict[Name, SurlText] = Field({}, max_length=MOST_JOINS)
    limit: int | None = Field(None, ge=1, le=1 << 40)
    after: Text | None = None

    def wanted(self) -> Asked:
        return Asked(
            query=self.query,
            path=self.path,
            view=parse_view(self.view) if self.view is not None else None,
            chosen=self.select,
            order=self.order,
            joins=self.joins,
            limit=self.limit,
            after=self.after,
        )


class AttributesForm(BaseModel):
    model_config = ConfigDict(extra="forbid")

    path: SurlText = "/"


def routes() -> list[web.AbstractRouteDef]:
    return [web.post("/meta/v1/find", find), web.post("/meta/v1/attributes", attributes)]


async def attributes(request: web.Request) -> web.Response:
    """What queries may name at a path; `level`: of DICOM's; `original`: whether originals are found by it."""
    caller, form = await asked(request, AttributesForm)
    found = await naming.listing(request.app[HOUSE].finding, caller, form.path)
    return json_reply(request, {"attributes": [_attribute(one) for one in found]})


def _attribute(one: Attribute) -> dict[str, Any]:
    told: dict[str, Any] = {"name": one.name, "kind": one.kind, "many": one.many}
    if isinstance(one, DicomAttribute):
        told |= {"level": one.row.level, "original": one.row.blind}
    return told


async def find(request: web.Request) -> web.StreamResponse:
    caller, form = await asked(request, FindForm)
    house = request.app[HOUSE]
    kept = _PAGE_BYTES + _KEPT_BYTES * (len(form.joins) + bool(form.order))
    with house.budget.holding(caller.payer, kept) as held, house.desk.turns.serving(caller.payer):
        async with house.desk.turns.turn(caller.payer, _WEIGHT):
            # What is wrong with the query is told by a status.
            search = await finding.begin(house.finding, caller, form.wanted())
            first = await search.next()
        answer = _Answer(request)
        try:
            await _stream(answer, house, caller, search, first, held)
        except ConnectionError:
            raise
        except Exception as why:
            problem.log(why)
            known = why if isinstance(why, MdmError) else MdmError("an unexpected failure")
            await answer.end(_line({"error": problem.details(known, known.http, request_id(request))}))
    return answer.begun


class _Answer:
    """Lines as they come. What ends before anything is written leaves in one piece, in the same form."""

    def __init__(self, request: web.Request) -> None:
        self._request = request
        self.begun = web.StreamResponse()

    async def write(self, lines: bytes) -> None:
        if not self.begun.prepared:
            await self._begin(web.StreamResponse())
        await self.begun.write(lines)

    async def end(self, lines: bytes) -> None:
        if self.begun.prepared:
            await self.begun.write(lines)
        else:
            whole = web.Response(body=lines)
            if self._request.version >= HttpVersion11:
                whole.enable_chunked_encoding()
            await self._begin(whole)
        await self.begun.write_eof()

    async def _begin(self, answer: web.StreamResponse) -> None:
        answer.headers["Cache-Control"] = "no-store"
        answer.content_type = KIND
        await answer.prepare(self._request)
        self.begun = answer


def _columns(search: Search) -> bytes:
    return _line({"columns": {one.name: {"kind": one.kind, "many": one.many} for one in search.columns}})


async def _stream(
    answer: _Answer, house: House, caller: Caller, search: Search, first: Page | None, held: Held
) -> None:
    kept = held.size
    # A short answer leaves at once, and looks like a long one: which way led to it shows in neither.
    waiting, matches, told = _columns(search), list[Match](), time.monotonic()
    page = first
    while page is not None:
        matches += page.matches
        lines, matches = _divided(matches)
        waiting += b"".join(lines)
        now = time.monotonic()
        is_late = now - told > _PATIENCE
        if is_late and not lines:
            # What there is, or a sign that something is still being looked for.
            waiting, matches = waiting + (_matches(matches) if matches else b"\n"), []
        if lines or is_late:
            held.grow_to(kept + 3 * len(waiting))
            await answer.write(waiting)
            waiting, told = b"", now
        if search.is_over:
            break
        async with house.desk.turns.turn(caller.payer, _WEIGHT, first=False):
            page = await search.next()
    await answer.end(waiting + (_matches(matches) if matches else b"") + _END)


def _divided(matches: list[Match]) -> tuple[list[bytes], list[Match]]:
    """As many whole lines as there are, and the rest. How they were found must not show in them: it depends on what
    nobody may see. What is joined to one entry stays together, for a cursor leads behind all of it."""
    lines = []
    while len(matches) > _ON_A_LINE:
        end = _ON_A_LINE
        while end < len(matches) and matches[end].entry == matches[end - 1].entry:
            end += 1
        if end == len(matches):
            break
        lines.append(_matches(matches[:end]))
        matches = matches[end:]
    return lines, matches


def _matches(some: list[Match]) -> bytes:
    return _line({"matches": [_match(one) for one in some], "cursor": some[-1].cursor})


def _match(one: Match) -> dict[str, Any]:
    return {"path": one.lfn, "guid": str(one.guid), "view": one.view, "values": one.values}


def _line(tree: object) -> bytes:
    return orjson.dumps(tree, option=orjson.OPT_APPEND_NEWLINE)
