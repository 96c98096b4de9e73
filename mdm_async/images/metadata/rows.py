"""Where the rows of a query come from, page by page: an index, or everything that is visible below a directory."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from operator import itemgetter
from typing import Final, Protocol

from mdm_async.catalog.metadata import collections, matches
from mdm_async.catalog.metadata.candidates import candidates, probes
from mdm_async.catalog.metadata.columns import JoinedAttribute, OwnAttribute
from mdm_async.catalog.metadata.matches import Known, Row, Wanted
from mdm_async.catalog.namespace import places
from mdm_async.catalog.namespace.places import Place
from mdm_async.catalog.rights import acl, visible
from mdm_async.catalog.rights.verdicts import Verdicts
from mdm_async.catalog.rights.visible import START, Cursor
from mdm_async.errors import BadRequest, Conflict
from mdm_async.images.metadata.originals import Originals
from mdm_async.images.reading.served import ServedViews
from mdm_async.images.surls import resolve_one
from mdm_async.names import ROOT, Caller, Right, Scope, View
from mdm_async.postgres.database import Connection, Database
from mdm_async.querying.attributes import Attribute, Kind

LOOKED_AT: Final = 1000
"""Entries on a page at the most, whether or not they match."""
_LEAST: Final = 16
_PAGE_BYTES: Final = 8 << 20
"""What may be told of a page's entries."""
_ROW, _SAID, _TEXT = 512, 256, 1100
"""Bytes of an entry, of an attribute that its view says, as a rule, and of a text of users' own, at the most."""
_FEW: Final = 2000
"""Candidates that an index may give: beyond, all that is visible is looked at."""
_PROBES: Final = 3


def looked_at(told: Sequence[Attribute]) -> int:
    """How many entries a page has of which this is told."""
    of = [one.of if isinstance(one, JoinedAttribute) else one for one in told]
    texts = sum(isinstance(one, OwnAttribute) and one.kind is Kind.TEXT for one in of)
    return max(_LEAST, _PAGE_BYTES // (_ROW + _SAID * (len(told) - texts) + _TEXT * texts))


class Pages(Protocol):
    """Rows in steps."""

    @property
    def is_over(self) -> bool:
        """Whether it is known that none follow."""

    async def next(self) -> list[Row] | None:
        """Some more, perhaps none; None at the end. Nothing is held between."""


@dataclass(frozen=True, slots=True)
class Desk:
    """What a query is answered with."""

    database: Database
    verdicts: Verdicts
    views: ServedViews
    originals: Originals | None = None
    """None where they are not to be asked about."""


@dataclass(slots=True)
class Found:
    """What matches at and below a path, in the order of directories' ids and of names.

    Each page is what the caller may know when it is made, and costs the same however little of it matches.
    """

    _desk: Desk
    _caller: Caller
    _path: str | None
    _wanted: Wanted
    _after: Cursor | None = START
    """None: at the end."""
    _place: Place | None = None
    """Where the path leads, if that has just been looked up."""
    _known: list[Known] | None = field(default=None, init=False)
    """All that may match and is not told yet, if these are few."""
    _count: int = field(default=0, init=False)
    """Entries on a page; 0: there was none yet."""

    @property
    def is_over(self) -> bool:
        return self._after is None

    async def next(self) -> list[Row] | None:
        """Raises as `place_of`."""
        if self._after is None:
            return None
        async with self._desk.database.acquire() as db:
            return await self._page(db, self._after)

    async def _page(self, db: Connection, after: Cursor) -> list[Row]:
        views = self._desk.views
        await views.refresh(db)
        wanted = replace(self._wanted, versions=views.versions)
        place, self._place = self._place or await place_of(db, self._caller, self._path), None
        is_first = not self._count
        if is_first:
            self._count = min(LOOKED_AT, looked_at(wanted.columns))
            self._known = await _few(db, self._caller, place, wanted, after)
        if self._known is not None:
            some, self._known = self._known[: self._count], self._known[self._count :]
            if not self._known:
                self._after = None
            if not is_first:
                found = await places.of_entries(db, [one.id for one in some])
                some = known_of(self._caller, wanted, _within(place, found.values()))
            rows = await matches.among(db, some, wanted)
        else:
            verdict = await self._desk.verdicts.of(db, self._caller, place.newest_acl)
            seen = await visible.below(db, self._caller, verdict, place)
            rows, self._after = await matches.page(db, seen, wanted, self._count, after)
        await _demand_attributes(db, wanted)
        return rows


async def _demand_attributes(db: Connection, wanted: Wanted) -> None:
    """Return when no attribute that was looked at is gone: its values go after it. Raises Conflict."""
    own = {one.id for one in wanted.named if isinstance(one, OwnAttribute)}
    if own and not await collections.are_there(db, own):
        raise Conflict("an attribute of the query has just been removed", remedy="ask again")


async def place_of(db: Connection, caller: Caller, path: str | None) -> Place:
    """Where a query looks; None: at the root, also by whoever does not see it, whose credential may lead further.

    Raises BadRequest, and as `acl.demand_seen`.
    """
    if path is None:
        root = await places.resolve_one(db, ROOT)
        if not caller.scopes and not acl.looks_into(caller, root):
            acl.demand_seen(caller, root)
        return root
    named, place = await resolve_one(db, caller, path)
    if named.view is not None:
        raise BadRequest("a view is asked for by itself", remedy="leave '/@<view>' out of the path")
    acl.demand_seen(caller, place)
    if place.entry is None:
        raise acl.missing(caller)
    return place


def demand_view(desk: Desk, view: View | None) -> None:
    """Raises BadRequest for one that no profile makes: nothing would ever match."""
    if view is not None and not desk.views.exists(view):
        raise BadRequest("there is no such view here", remedy="`mdm profile list` names those that are")


async def _few(
    db: Connection, caller: Caller, place: Place, wanted: Wanted, after: Cursor
) -> list[Known] | None:
    """All that may match and the caller may know of, after an entry, when an index tells that they are few."""
    if place.entry is not None and not place.entry.is_directory:
        return known_of(caller, wanted, _behind(after, [place]))
    for probe in probes(wanted.condition)[:_PROBES]:
        found = await candidates(db, probe, wanted.versions, _FEW)
        if found is not None:
            return known_of(caller, wanted, _behind(after, _within(place, found.values())))
    return None


def _within(directory: Place, found: Iterable[Place]) -> list[Place]:
    below = Scope(directory.lfn, frozenset())
    return [one for one in found if below.covers(one.lfn) and one.lfn != directory.lfn]


def _behind(after: Cursor, found: Iterable[Place]) -> list[Place]:
    """Those that come after an entry, in the order in which they are told."""
    at = [((one.ancestor.parent or 0, one.ancestor.name), one) for one in found]
    return [one for where, one in sorted(at, key=itemgetter(0)) if where > after]


def known_of(caller: Caller, wanted: Wanted, found: Sequence[Place]) -> list[Known]:
    """Those of some entries that the caller may know of."""
    known = []
    for place in found:
        if place.entry is None or not (wanted.unseen or acl.allows(caller, place, Right.GET_METADATA)):
            continue
        readable = not place.entry.is_directory and acl.allows(caller, place, Right.READ, wanted.view)
        view = wanted.view or place.default_view
        known.append(Known(place.entry.id, place.entry.image, view, readable, place.lfn))
    return known
