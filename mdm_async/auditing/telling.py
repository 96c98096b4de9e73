"""The audit trail told to administrators: page by page to be verified and kept, or its last rows to be looked at."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import asyncpg

from mdm_async.audit import row_index
from mdm_async.audit.rows import Row, row_of
from mdm_async.catalog import installation
from mdm_async.catalog.namespace import places
from mdm_async.catalog.rights import acl
from mdm_async.catalog.trail import acts, ledger
from mdm_async.catalog.trail.acts import Act
from mdm_async.catalog.trail.ledger import FIRST, LAST, Filter
from mdm_async.names import Caller, Lfn, Right
from mdm_async.postgres.database import Connection, Database

PAGE = 5000
"""Rows of a page, at the most."""
_INDEX_BYTES = 12 * PAGE
"""Of the row indexes in a page; one is taken in any case."""


@dataclass(frozen=True, slots=True)
class Opening:
    """Of a trail to be told: whose it is, the last seal it will hold, and the database's time (microseconds)."""

    installation: UUID
    horizon: int
    now: int


@dataclass(frozen=True, slots=True)
class SealLine:
    """A seal with its row index."""

    number: int
    text: str
    index: bytes


@dataclass(frozen=True, slots=True)
class RowLine:
    """A row and the number that it bears; None when it is not sealed."""

    row: Row
    seal: int | None


@dataclass(frozen=True, slots=True)
class Cursor:
    """Where a trail is to be gone on with: after this seal and row. `loose`: what is under no seal follows."""

    horizon: int
    seal: int
    row: int
    loose: bool = False


@dataclass(frozen=True, slots=True)
class Page:
    """Seals, each followed by the rows that bear its number; at last the rows under none. `next`: None at the end."""

    lines: Sequence[SealLine | RowLine]
    next: Cursor | None


async def begin(database: Database, caller: Caller, wanted: Filter) -> Opening:
    """Audited, as whoever holds the trail knows who did what. Raises Forbidden."""
    async with database.transaction() as db:
        await acl.demand_administrator(db, caller)
        # A seal being made now is waited for: none with an earlier time is missing then.
        await ledger.wait_for_seal(db)
        last, now = await ledger.last_seal(db), await ledger.now(db)
        await acts.record(db, [Act(caller, "audit export", guid=wanted.guid, details=_told(wanted))])
        return Opening(await installation.identity(db), last[0] if last is not None else 0, now)


def first_page(opening: Opening, after: int | None) -> Cursor:
    """Where to begin: with the first row, or after a seal."""
    return Cursor(opening.horizon, FIRST, FIRST) if after is None else Cursor(opening.horizon, after, LAST)


async def go_on(database: Database, caller: Caller, wanted: Filter, at: Cursor) -> Page:
    """As `page`, where a client says to go on. Audited too, for it may be where they never began. Raises Forbidden."""
    async with database.transaction() as db:
        await acl.demand_administrator(db, caller)
        details = _told(wanted) | {"afterSeal": at.seal, "afterRow": at.row}
        await acts.record(db, [Act(caller, "audit export", guid=wanted.guid, details=details)])
    return await page(database, caller, wanted, at)


async def page(database: Database, caller: Caller, wanted: Filter, at: Cursor) -> Page:
    """The next lines. What a filter leaves of a trail cannot be verified, so there are no seals in it."""
    async with database.acquire() as db:
        await acl.demand_administrator(db, caller)
        if wanted.is_set:
            return await _filtered(db, wanted, at)
        return await (_loose if at.loose else _sealed)(db, at)


async def _filtered(db: Connection, wanted: Filter, at: Cursor) -> Page:
    rows = await _numbered(db, await ledger.filtered_rows(db, wanted, at.row, PAGE))
    more = len(rows) == PAGE
    return Page(rows, Cursor(at.horizon, at.seal, rows[-1].row["id"]) if more else None)


async def _sealed(db: Connection, at: Cursor) -> Page:
    is_begun = at.row < LAST and at.seal > FIRST  # a page ended among the rows of that seal
    upto = await _as_far_as_fits(db, at.seal - is_begun, at.horizon)
    seals = await ledger.seals_between(db, at.seal - is_begun, upto)
    pairs = {(number, id_) for number, _, index in seals for id_ in row_index.ids(index)}
    marked = await ledger.marked(db, (at.seal, at.row), upto, PAGE)
    told = sorted(pair for pair in pairs.union(marked) if pair > (at.seal, at.row))
    end = told[PAGE - 1] if len(told) > PAGE else None
    if len(marked) == PAGE:
        end = min(end or marked[-1], marked[-1])
    if end is not None:
        told = [pair for pair in told if pair <= end]
    rows = await ledger.rows_by_id(db, {id_ for _, id_ in told})
    lines: list[SealLine | RowLine] = [
        SealLine(*seal) for seal in seals if seal[0] > at.seal and (end is None or seal[0] <= end[0])
    ]
    lines += [_line(rows[id_], seal) for seal, id_ in told if id_ in rows]
    # Stable, so each seal comes before its rows and they stay in order.
    lines.sort(key=_place)
    if end is not None:
        return Page(lines, Cursor(at.horizon, *end))
    if upto < at.horizon:
        return Page(lines, Cursor(at.horizon, upto, LAST))
    return Page(lines, Cursor(at.horizon, at.horizon, LAST, loose=True))


async def _as_far_as_fits(db: Connection, above: int, upto: int) -> int:
    """The seal to go on to, so that a page does not grow with what was deleted from under its seals."""
    sizes = await ledger.index_sizes(db, above, upto, PAGE)
    size = 0
    for i, (_, more) in enumerate(sizes):
        size += more
        if size > _INDEX_BYTES and i:
            return sizes[i - 1][0]
    return upto if len(sizes) < PAGE else sizes[-1][0]


async def _loose(db: Connection, at: Cursor) -> Page:
    """First what bears the number of a seal that there is not, then what no seal names: of it the seal is `LAST`."""
    if at.seal < LAST:
        beyond = await ledger.beyond(db, (at.seal, at.row), at.horizon, PAGE)
        lines = [_line(row, row["seal"]) for row in beyond]
        if len(beyond) == PAGE:
            return Page(lines, Cursor(at.horizon, beyond[-1]["seal"], beyond[-1]["id"], loose=True))
        return Page(lines, Cursor(at.horizon, LAST, FIRST, loose=True))
    ids = await ledger.unmarked(db, at.row, PAGE)
    named = await _naming(db, ids)
    # Those that were sealed meanwhile are not sealed yet for who asked before.
    rows = await ledger.rows_by_id(db, [id_ for id_ in ids if named.get(id_, LAST) > at.horizon])
    told = [_line(rows[id_], None) for id_ in sorted(rows)]
    return Page(told, Cursor(at.horizon, LAST, ids[-1], loose=True) if len(ids) == PAGE else None)


async def _naming(db: Connection, ids: Sequence[int]) -> dict[int, int]:
    """The seals that name rows, by the ids of these; those that none names are missing."""
    wanted, found = set(ids), dict[int, int]()
    for number, index in await ledger.indexes_over(db, min(ids), max(ids)) if ids else ():
        found.update((id_, number) for id_ in row_index.ids(index) if id_ in wanted)
    return found


async def _numbered(db: Connection, rows: Sequence[asyncpg.Record]) -> list[RowLine]:
    named = await _naming(db, [row["id"] for row in rows])
    return [_line(row, row["seal"] if row["seal"] is not None else named.get(row["id"])) for row in rows]


def _line(record: asyncpg.Record, seal: int | None) -> RowLine:
    return RowLine(row_of(record.items()), seal)


def _place(line: SealLine | RowLine) -> int:
    number = line.number if isinstance(line, SealLine) else line.seal
    assert number is not None
    return number


async def newest(
    database: Database, caller: Caller, wanted: Filter, count: int
) -> list[tuple[RowLine, Lfn | None]]:
    """The last rows, oldest first, each with what its entry is called now, if the caller may list that. Audited."""
    async with database.transaction() as db:
        await acl.demand_administrator(db, caller)
        lines = await _numbered(db, await ledger.newest(db, wanted, count))
        names = await _names(db, caller, {UUID(line.row["guid"]) for line in lines if line.row["guid"]})
        await acts.record(db, [Act(caller, "audit show", guid=wanted.guid, details=_told(wanted))])
    return [(line, names.get(UUID(line.row["guid"])) if line.row["guid"] else None) for line in lines]


async def _names(db: Connection, caller: Caller, guids: set[UUID]) -> dict[UUID, Lfn]:
    found = await places.of_guids(db, guids)
    return {guid: place.lfn for guid, place in found.items() if acl.allows(caller, place, Right.LIST)}


def _told(wanted: Filter) -> dict[str, Any]:
    """What was asked for, as far as it is not words that somebody typed."""
    times = {name: str(time) for name in ("since", "until") if (time := getattr(wanted, name)) is not None}
    by = [name for name in ("caller", "act") if getattr(wanted, name) is not None]
    return times | ({"by": by} if by else {})
