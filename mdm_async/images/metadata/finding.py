"""Entries that match a query, in the order of their directories and of names, page by page.

A caller finds what they have the right `g` to, and may read in the view that counts: of all else neither a row nor
its absence changes an answer. A query that names nothing but own attributes needs no view, and finds directories too.
"""

from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass, replace

from mdm_async.catalog.metadata import cursor
from mdm_async.catalog.metadata.candidates import probes
from mdm_async.catalog.metadata.columns import DicomAttribute, JoinedAttribute
from mdm_async.catalog.metadata.matches import Row, Wanted
from mdm_async.catalog.namespace import places
from mdm_async.catalog.namespace.places import Place
from mdm_async.catalog.rights import acl
from mdm_async.catalog.rights.visible import START, Cursor
from mdm_async.catalog.trail import acts
from mdm_async.catalog.trail.acts import Act
from mdm_async.errors import BadRequest
from mdm_async.images.metadata.asked import EVERYTHING, MOST_CHOSEN, Asked, Match, Page
from mdm_async.images.metadata.joining import Joined, Pairs, divided
from mdm_async.images.metadata.naming import attributes_with_joins, demand_aliases, dicom, is_own
from mdm_async.images.metadata.ordering import By, Ordered
from mdm_async.images.metadata.originals import demand_no_joined
from mdm_async.images.metadata.rows import Desk, Found, Pages, demand_view, place_of
from mdm_async.images.metadata.valued import Valued
from mdm_async.names import IDENTIFIED, Caller, Scope, join
from mdm_async.postgres.database import Connection
from mdm_async.querying.attributes import Attribute
from mdm_async.querying.conditions import Condition, attributes
from mdm_async.querying.grammar import parse, which_it_is
from mdm_async.querying.words import names


@dataclass(slots=True)
class Search:
    """A query that is being answered. Nothing is held between its pages."""

    columns: tuple[Attribute, ...]
    """What is told of each match."""
    _desk: Desk
    _caller: Caller
    _pages: Pages
    _wanted: Wanted
    _left: int | None
    """Matches that are still wanted; None: all."""

    @property
    def is_over(self) -> bool:
        """Whether it is known that no page follows."""
        return self._left == 0 or self._pages.is_over

    async def next(self) -> Page | None:
        """The next page, which may be empty; None at the end. Raises as `begin`, and TooLarge."""
        if self._left == 0 or (rows := await self._pages.next()) is None:
            return None
        rows = rows[: self._left]
        if self._left is not None:
            self._left -= len(rows)
        if not rows:
            return Page([])
        if self._wanted.view == IDENTIFIED:
            return await self._of_originals(rows)
        return await self._told(rows)

    async def _of_originals(self, rows: Sequence[Row]) -> Page:
        assert self._desk.originals is not None
        images = list({row.image for row in rows if row.image is not None})
        said = await self._desk.originals.values(
            self._desk.database, images, self.columns, everything=self._wanted.everything
        )
        rows = [
            replace(row, values={**row.values, **said.get(row.image, {})}) if row.image is not None else row
            for row in rows
        ]
        async with self._desk.database.transaction() as db:
            # Before anything is told: that an original matches tells what it says.
            found = {row.guid for row in rows}
            await acts.record(db, [Act(self._caller, "find", guid=guid, view=IDENTIFIED) for guid in found])
        return await self._told(rows)

    async def _told(self, rows: Sequence[Row]) -> Page:
        nameless = {row.parent for row in rows if row.lfn is None}
        directories: dict[int, Place] = {}
        if nameless:
            async with self._desk.database.acquire() as db:
                directories = await places.of_entries(db, nameless)
        found = []
        for row in rows:
            lfn = row.lfn
            if lfn is None:
                if row.parent not in directories:  # it has just gone
                    continue
                lfn = join(directories[row.parent].lfn, row.name)
            values = {one.name: row.values[one.name] for one in self.columns if one.name in row.values}
            on = cursor.encode(row.directory, row.name)
            found.append(Match(row.id, row.guid, lfn, row.image, row.view, row.version, values, on))
        return Page(found)


async def find(desk: Desk, caller: Caller, asked: Asked) -> AsyncGenerator[Match, None]:
    """All that match. Raises as `begin`."""
    search = await begin(desk, caller, asked)
    while (page := await search.next()) is not None:
        for match in page.matches:
            yield match


async def begin(desk: Desk, caller: Caller, asked: Asked) -> Search:
    """Raises BadQuery, BadRequest, and as `acl.demand_seen` for the paths."""
    if len(asked.chosen) > MOST_CHOSEN or len(asked.order) > MOST_CHOSEN:
        raise BadRequest(f"{MOST_CHOSEN} attributes are chosen at the most")
    if asked.order and asked.after is not None:
        raise BadRequest(
            "no cursor leads on in an order of values", remedy="leave out the order, or the cursor"
        )
    demand_aliases(asked.joins)
    order = [one.removeprefix("-") for one in asked.order]
    chosen = [one for one in dict.fromkeys(asked.chosen) if one != EVERYTHING]
    named = {*names(asked.query), *chosen, *order}
    place, after = None, START
    is_known = asked.view is None or desk.views.exists(asked.view)
    if is_known and asked.after is None and not asked.joins and not order and not is_own(named):
        # It is understood without the catalog; whether the path leads somewhere is seen with the first page.
        known = dicom()
    else:
        async with desk.database.acquire() as db:
            await desk.views.refresh(db)
            demand_view(desk, asked.view)
            place = await place_of(db, caller, asked.path)
            joined = {alias: await place_of(db, caller, path) for alias, path in asked.joins.items()}
            known = await attributes_with_joins(db, caller, place, joined, named)
            if asked.after is not None:
                after = await _behind(db, caller, place, asked.after)
    condition = parse(asked.query, known)
    for one in (*chosen, *order):
        if one not in known:
            raise BadRequest("an attribute is chosen that is not here", remedy=which_it_is(one, known))
    by = [By(known[name], said.startswith("-")) for name, said in zip(order, asked.order, strict=True)]
    if asked.view == IDENTIFIED:
        demand_no_joined([known[one] for one in (*chosen, *order)])
        condition = _asked_of_originals(desk, condition, by)
    final = Wanted(
        condition,
        tuple(known[one] for one in chosen),
        EVERYTHING in asked.chosen,
        asked.view,
        asked.view is not None or any(isinstance(one, DicomAttribute) for one in attributes(condition)),
        desk.views.versions,
        asked.unseen,
    )
    first = final
    if by:
        # Values that are told are looked up once it is known of which they are.
        first = replace(
            final, chosen=tuple({one.attribute.name: one.attribute for one in by}.values()), everything=False
        )
    pages: Pages = _pages(desk, caller, asked, first, final.chosen, after, place)
    if by:
        pages = Ordered(desk, caller, pages, by, final, asked.limit)
    return Search(final.columns, desk, caller, pages, final, asked.limit)


def _asked_of_originals(desk: Desk, condition: Condition, order: Sequence[By]) -> Condition:
    if desk.originals is None:
        raise BadRequest("originals are not asked about here", remedy="ask about a de-identified view")
    if any(isinstance(one.attribute, DicomAttribute) for one in order):
        raise BadRequest("originals are put in no order", remedy="leave out the order")
    return desk.originals.asked(condition)


def _pages(
    desk: Desk,
    caller: Caller,
    asked: Asked,
    wanted: Wanted,
    told: Sequence[Attribute],
    after: Cursor,
    place: Place | None,
) -> Pages:
    """In the server's order, but where a value leads to all. `told`: what is told of each in the end."""
    if asked.valued is not None:
        leading = [one for one in probes(wanted.condition) if one.attribute.name == asked.valued]
        return Valued(desk, caller, asked.path, wanted, leading[0])
    if not asked.joins:
        return Found(desk, caller, asked.path, wanted, after, _place=place)
    parts = divided(wanted.condition, list(asked.joins))
    used = [
        one
        for one in (*attributes(wanted.condition), *wanted.chosen, *told)
        if isinstance(one, JoinedAttribute)
    ]
    joined = [
        Joined.begin(
            desk, caller, path, parts.sides[alias], [one for one in used if one.alias == alias], wanted
        )
        for alias, path in asked.joins.items()
    ]
    keys = tuple({side.to.name: side.to for side in parts.sides.values()}.values())
    entries = replace(wanted, condition=parts.main, chosen=keys, everything=False)
    return Pairs(
        desk,
        caller,
        Found(desk, caller, asked.path, entries, after),
        joined,
        replace(wanted, condition=parts.pairs),
    )


async def _behind(db: Connection, caller: Caller, place: Place, after: str) -> Cursor:
    guid, name = cursor.decode(after)
    found = (await places.of_guids(db, [guid])).get(guid)
    below = Scope(place.lfn, frozenset())
    if found is None or found.entry is None or not below.covers(found.lfn):
        raise cursor.lost()
    if not acl.looks_into(caller, found):
        raise cursor.lost()
    return found.entry.id, name
