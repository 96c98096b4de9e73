"""The audit trail told to administrators: page by page to be verified and kept, or its last rows to be looked at."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import asyncpg

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
_INDEX_BYTES = 4 << 20
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
    rows = [_line(row) for row in await ledger.filtered_rows(db, wanted, at.row, PAGE)]
    more = len(rows) == PAGE
    return Page(rows, Cursor(at.horizon, at.seal, rows[-1].row["id"]) if more else None)


async def _sealed(db: Connection, at: Cursor) -> Page:
    rows = await ledger.sealed_rows(db, (at.seal, at.row), at.horizon, PAGE)
    full = len(rows) == PAGE
    upto = rows[-1]["seal"] if full else at.horizon
    fits = await _as_far_as_fits(db, at.seal, upto)
    lines: list[SealLine | RowLine] = [
        SealLine(*seal) for seal in await ledger.seals_between(db, at.seal, fits)
    ]
    lines += [_line(row) for row in rows if row["seal"] <= fits]
    # Stable, so each seal comes before its rows and they stay in order.
    lines.sort(key=_place)
    if fits < upto:
        return Page(lines, Cursor(at.horizon, fits, LAST))
    if full:
        return Page(lines, Cursor(at.horizon, upto, rows[-1]["id"]))
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
    rows = await ledger.loose_rows(db, (at.seal, at.row), at.horizon, PAGE)
    if len(rows) < PAGE:
        return Page([_line(row) for row in rows], None)
    seal = rows[-1]["seal"]
    after = Cursor(at.horizon, LAST if seal is None else seal, rows[-1]["id"], loose=True)
    return Page([_line(row) for row in rows], after)


def _line(record: asyncpg.Record) -> RowLine:
    return RowLine(row_of(record.items()), record["seal"])


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
        lines = [_line(record) for record in await ledger.newest(db, wanted, count)]
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
