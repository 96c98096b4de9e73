"""The views of instances that a URL names, opened one after the other."""

from collections.abc import AsyncGenerator, Sequence

from aiohttp import web

from mdm_async.catalog.metadata.studies import Row
from mdm_async.catalog.namespace import places
from mdm_async.errors import Forbidden, Gone, NotFound, TooManyRequests
from mdm_async.images.reading.view import ReadyView
from mdm_async.images.studies import searching
from mdm_async.images.studies.retrieving import Retrieved, retrieved
from mdm_async.images.studies.searching import OF_RETRIEVED
from mdm_async.images.transfers.warm import WarmTurl
from mdm_async.names import Caller
from mdm_async.web.dicomweb.asked import named
from mdm_async.web.http.credential import caller_of
from mdm_async.web.http.house import HOUSE

_WEIGHT = 8
"""Looking for what UIDs name takes as long as so many files of a request."""

_TOGETHER = 16
"""Views are opened so many at a time."""


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
    """As `opened`, of all, each by what the credential gives at that moment. One that was removed meanwhile is left
    out, as if it had not been there; NotFound when all were. Raises TooManyRequests of a server that ends."""
    none = True
    for place, row in enumerate(rows):
        _demand_staying(request)
        caller = await caller_of(request)
        if place % _TOGETHER == 0:
            await _open_soon(request, caller, rows[place : place + _TOGETHER])
        try:
            warm = await opened(request, caller, row)
        except (NotFound, Gone):
            if await _is_there(request, row):
                raise
            continue
        none = False
        yield row, warm
    if none:
        raise NotFound("it has just gone")


def _demand_staying(request: web.Request) -> None:
    if request.app[HOUSE].draining:
        raise TooManyRequests("the server is shutting down", retry_after=10)


async def _is_there(request: web.Request, row: Row) -> bool:
    """Whether or not anybody may know of it."""
    async with request.app[HOUSE].database.acquire() as db:
        return row.guid in await places.of_guids(db, [row.guid])


async def _open_soon(request: web.Request, caller: Caller, rows: Sequence[Row]) -> None:
    views = request.app[HOUSE].opened
    for view in dict.fromkeys(row.view for row in rows):
        await views.open_soon(caller, [f"guid:{row.guid}" for row in rows if row.view == view], view)


def syntax_of(row: Row) -> str:
    return str(row.said["TransferSyntaxUID"][0])


def view_of(warm: WarmTurl) -> ReadyView:
    """What was opened in the clear."""
    plain = warm.served.plain
    assert plain is not None
    return plain
