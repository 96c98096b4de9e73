"""What goes into a cohort: entries with the view of each, as whoever makes it may read them: of a list, or a query."""

from collections.abc import AsyncGenerator, AsyncIterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar
from uuid import UUID

from mdm_async.catalog.holdings.stored_views import Holding
from mdm_async.catalog.namespace import places
from mdm_async.catalog.rights import acl
from mdm_async.errors import MdmError, NotFound
from mdm_async.images.fairness.turns import Turns
from mdm_async.images.metadata import finding
from mdm_async.images.metadata.asked import Asked, Match
from mdm_async.images.metadata.rows import Desk, place_of
from mdm_async.images.names.bound import is_bound
from mdm_async.images.reading.served import ServedViews
from mdm_async.images.reading.shelf import Shelf
from mdm_async.images.surls import resolve
from mdm_async.images.transfers.readable import viewed
from mdm_async.names import Caller, Right, View
from mdm_async.postgres.database import Database

PAGE = 64
_WEIGHT = 64
"""A page of a query takes as long as so many files of a request."""

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Chosen:
    """A file and the view of it."""

    entry: int
    guid: UUID
    image: UUID
    view: View
    may_give: bool
    """Whether whoever chooses it may give others rights to it."""


async def listed(
    database: Database, served: ServedViews, caller: Caller, surls: Sequence[str], view: View | None
) -> AsyncGenerator[Chosen, None]:
    """The files of a list, in the view that each names, or else `view`, or else its default one.

    Raises what is wrong with the first that may not be read, and says which of the list it is.
    """
    for start in range(0, len(surls), PAGE):
        some = surls[start : start + PAGE]
        async with database.acquire() as db:
            await served.refresh(db)
            found = await resolve(db, caller, some)
        for number, one in enumerate(found, start + 1):
            try:
                if isinstance(one, MdmError):
                    raise one
                surl, place = one
                acl.demand(caller, place, Right.GET_METADATA)
                entry, image, name = viewed(served, caller, surl, place, view)
            except MdmError as why:
                why.detail = f"number {number} of the list: {why.detail or why.title}"
                raise
            yield Chosen(entry.id, entry.guid, image, name, acl.allows(caller, place, Right.PERMISSION))


@dataclass(frozen=True, slots=True)
class Query:
    """`root`: the entry at and below which is searched; `joins`: paths by alias."""

    text: str
    root: int
    joins: Mapping[str, str]


async def asked_at(desk: Desk, caller: Caller, text: str, path: str, joins: Mapping[str, str]) -> Query:
    """A query of what is at and below a path. Raises as `place_of`."""
    async with desk.database.acquire() as db:
        place = await place_of(db, caller, path)
    return Query(text, place.ancestor.id, joins)


async def selected(
    desk: Desk, shelf: Shelf, turns: Turns, caller: Caller, query: Query, view: View | None
) -> AsyncGenerator[Chosen, None]:
    """The files that a query finds for this caller, as far as they may read the view and it is ready.

    Raises as `finding.begin`, and NotFound when what was searched has gone.
    """
    async with desk.database.acquire() as db:
        root = (await places.of_entries(db, [query.root])).get(query.root)
    if root is None:
        raise NotFound("the directory that was searched has gone")
    asked = Asked(query.text, root.lfn, view, joins=query.joins)
    async with turns.turn(caller.payer, _WEIGHT):
        search = await finding.begin(desk, caller, asked)
        page = await search.next()
    while page is not None:
        for one in await _readable(desk, shelf, caller, page.matches, view):
            yield one
        async with turns.turn(caller.payer, _WEIGHT, first=False):
            page = await search.next()


async def _readable(
    desk: Desk, shelf: Shelf, caller: Caller, matches: Sequence[Match], view: View | None
) -> list[Chosen]:
    """A query of own attributes alone finds directories too, and files whatever becomes of their views."""
    chosen = []
    async with desk.database.acquire() as db:
        found = await places.of_entries(db, [one.entry for one in matches])
        for one in matches:
            place = found.get(one.entry)
            if place is None or place.entry is None or one.image is None:
                continue
            if not is_bound(shelf.served.bindings, place.entry):
                continue
            name = one.view or view or place.default_view
            if acl.allows(caller, place, Right.READ, name):
                may_give = acl.allows(caller, place, Right.PERMISSION)
                chosen.append(Chosen(one.entry, one.guid, one.image, name, may_give))
        stored = await shelf.find(db, [(one.image, one.view) for one in chosen])
    return [one for one in chosen if _is_ready(stored.holdings.get((one.image, one.view)))]


def _is_ready(holding: Holding | None) -> bool:
    return (
        holding is not None
        and holding.locality.is_online
        and holding.view is not None
        and holding.view.record is not None
    )


async def in_pages(things: AsyncIterable[T]) -> AsyncGenerator[list[T], None]:
    page: list[T] = []
    async for one in things:
        page.append(one)
        if len(page) == PAGE:
            yield page
            page = []
    if page:
        yield page
