"""The views of instances that a URL names, opened one after the other."""

import time
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from functools import partial

from aiohttp import web

from mdm_async.auditing.reads import Read
from mdm_async.blobs.ahead import one_ahead
from mdm_async.catalog.metadata.studies import Row
from mdm_async.catalog.namespace import places
from mdm_async.errors import Forbidden, Gone, NotFound, TooManyRequests
from mdm_async.images.reading.view import ReadyView
from mdm_async.images.studies import searching
from mdm_async.images.studies.retrieving import Retrieved, retrieved
from mdm_async.images.studies.searching import OF_RETRIEVED
from mdm_async.images.transfers.feed_reader import FRESH
from mdm_async.images.transfers.warm import WarmTurl
from mdm_async.names import Caller, Payer
from mdm_async.web.dicomweb.asked import named
from mdm_async.web.http.channel import source_of
from mdm_async.web.http.credential import caller_of
from mdm_async.web.http.house import HOUSE

_WEIGHT = 8
"""Looking for what UIDs name takes as long as so many files of a request."""

_TOGETHER = 16
"""Views are opened so many at a time, the next of them while those before are sent."""


async def rows_of(request: web.Request, caller: Caller, told: Sequence[str] = OF_RETRIEVED) -> Retrieved:
    """The instances that the URL names, all of which can be sent. Raises as `searching.instances`, and as `opened` of
    one that cannot; TooManyRequests of a server that ends."""
    house, about = request.app[HOUSE], named(request)
    _demand_staying(request)
    with house.desk.turns.serving(caller.payer):
        async with house.desk.turns.turn(caller.payer, _WEIGHT):
            within = about.uids.conditions
            rows = await searching.instances(house.finding, caller, within, about.path, about.view, told)
            found = await retrieved(house.finding, house.settings.delivery, rows)
    if found.odd is not None:
        await opened(request, caller, found.odd)
    return found


async def opened(request: web.Request, caller: Caller, row: Row) -> WarmTurl:
    """One of them, to be read in the clear. Raises as preparing it would; Forbidden where it leaves sealed only."""
    found = await request.app[HOUSE].opened.open(caller, f"guid:{row.guid}", view=row.view)
    if found.file.recipient is not None:
        raise Forbidden(
            f"the view '{row.view}' is delivered sealed only",
            remedy="get the file by its name: mdm get --sealed",
        )
    return found.warm


async def each_opened(
    request: web.Request, rows: Sequence[Row]
) -> AsyncGenerator[tuple[Row, WarmTurl], None]:
    """As `opened`, of all, each by what the credential gives at that moment; and that it is read is in the audit. One
    that was removed meanwhile is left out, as if it had not been there; NotFound when all were. Raises TooManyRequests
    of a server that ends."""
    house, none = request.app[HOUSE], True
    caller, asked = await caller_of(request), time.monotonic()
    some = (rows[start : start + _TOGETHER] for start in range(0, len(rows), _TOGETHER))
    async with aclosing(one_ahead(partial(_open_soon, request, those) for those in some)) as opening:
        async for those, reads in opening:
            try:
                await house.reads.begin_all(list(reads.values()), source_of(request))
                for row in those:
                    _demand_staying(request)
                    if asked < max(time.monotonic() - FRESH, house.changed.since):
                        caller, asked = await caller_of(request), time.monotonic()
                    try:
                        warm = await opened(request, caller, row)
                    except (NotFound, Gone):
                        if await _is_there(request, row):
                            raise
                        continue
                    none = False
                    reads.pop(warm.grant.turl, None)
                    yield row, warm
            finally:
                for read in reads.values():
                    house.reads.sent(read, source_of(request), 0, "broken")
    if none:
        raise NotFound("it has just gone")


async def _open_soon(request: web.Request, rows: Sequence[Row]) -> tuple[Sequence[Row], dict[bytes, Read]]:
    """Open them together, so that each by itself waits for nothing; with them what will be read, by transfer URL."""
    house, caller = request.app[HOUSE], await caller_of(request)
    reads: dict[bytes, Read] = {}
    for view in dict.fromkeys(row.view for row in rows):
        surls = [f"guid:{row.guid}" for row in rows if row.view == view]
        for warm in await house.opened.open_soon(caller, surls, view):
            reads[warm.grant.turl] = warm.read
    return rows, reads


def _demand_staying(request: web.Request) -> None:
    if request.app[HOUSE].draining:
        raise TooManyRequests("the server is shutting down", retry_after=10)


async def _is_there(request: web.Request, row: Row) -> bool:
    """Whether or not anybody may know of it."""
    async with request.app[HOUSE].database.acquire() as db:
        return row.guid in await places.of_guids(db, [row.guid])


def syntax_of(row: Row) -> str:
    return str(row.said["TransferSyntaxUID"][0])


def view_of(warm: WarmTurl) -> ReadyView:
    """What was opened in the clear."""
    plain = warm.served.plain
    assert plain is not None
    return plain


def payer_of(request: web.Request, warm: WarmTurl) -> Payer:
    return Payer.of(warm.read.caller, warm.read.owner, source_of(request))
