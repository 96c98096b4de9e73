"""Matches in another order than the server's: by values of the view, the same for whoever sees the same.

All are looked for before the first is told, without what is told of them; so their number is bounded, unless the first
few are asked for.
"""

import heapq
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final

from mdm_async.catalog.metadata import matches
from mdm_async.catalog.metadata.columns import JoinedAttribute
from mdm_async.catalog.metadata.matches import Row, Wanted
from mdm_async.catalog.namespace import places
from mdm_async.errors import TooLarge
from mdm_async.images.metadata.rows import LOOKED_AT, Desk, Pages, known_of, looked_at
from mdm_async.names import Caller
from mdm_async.querying.attributes import Attribute

MOST_ORDERED: Final = 10_000
MOST_KEPT: Final = 100_000
"""Values that are kept until all are found: those that they are ordered by, and those of what is joined to them."""


@dataclass(frozen=True, slots=True)
class By:
    attribute: Attribute
    descending: bool


@dataclass(frozen=True, slots=True)
class _Place:
    """Where a match stands: what has no value comes last, and of equals whatever was found first."""

    keys: tuple[tuple[bool, Any], ...]
    turn: int

    def __lt__(self, other: "_Place") -> bool:
        return (self.keys, self.turn) < (other.keys, other.turn)


class _Backwards:
    """Sorts the other way round."""

    __slots__ = ("value",)

    def __init__(self, value: Any) -> None:
        self.value = value

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Backwards) and self.value == other.value

    def __lt__(self, other: "_Backwards") -> bool:
        return bool(other.value < self.value)

    __hash__ = None  # type: ignore[assignment]


@dataclass(slots=True)
class Ordered:
    """Raises TooLarge when it is made."""

    _desk: Desk
    _caller: Caller
    _pages: Pages
    _by: Sequence[By]
    _wanted: Wanted
    """What is told of each in the end."""
    _limit: int | None
    _kept: list[tuple[_Place, Row]] = field(default_factory=list)
    _found: int = 0
    _complete: bool = False

    def __post_init__(self) -> None:
        joined = {one.name for one in self._wanted.named if isinstance(one, JoinedAttribute)}
        if self._most * (len(self._by) + len(joined)) > MOST_KEPT:
            raise TooLarge(
                f"up to {self._most} matches are to be put in order with so many attributes",
                remedy="order by fewer, name fewer of what is joined, or ask for the first matches with a limit",
            )

    @property
    def _most(self) -> int:
        return MOST_ORDERED if self._limit is None else min(self._limit, MOST_ORDERED)

    @property
    def is_over(self) -> bool:
        return self._complete and not self._kept

    async def next(self) -> list[Row] | None:
        if not self._complete:
            rows = await self._pages.next()
            if rows is None:
                self._complete = True
            else:
                self._keep(rows)
            return []
        if not self._kept:
            return None
        count = min(LOOKED_AT, looked_at(self._wanted.columns))
        some, self._kept = self._kept[:count], self._kept[count:]
        return await self._told([row for _, row in some])

    def _keep(self, rows: Sequence[Row]) -> None:
        for row in rows:
            self._found += 1
            keys = tuple(_key(row, by) for by in self._by)
            self._kept.append((_Place(keys, self._found), replace(row, values={})))
        # The first of so many as are asked for are kept; but never are fewer told than that, without a word.
        if (self._limit is None or self._limit > MOST_ORDERED) and len(self._kept) > MOST_ORDERED:
            raise TooLarge(
                f"more than {MOST_ORDERED} matches are to be put in order",
                remedy=f"ask for the first of them with a limit, {MOST_ORDERED} at the most, or for all in the"
                " server's order",
            )
        self._kept = heapq.nsmallest(self._most, self._kept, key=lambda one: one[0])

    async def _told(self, rows: Sequence[Row]) -> list[Row]:
        async with self._desk.database.acquire() as db:
            found = await places.of_entries(db, {row.id for row in rows})
            known = {one.id: one for one in known_of(self._caller, self._wanted, list(found.values()))}
            there = [
                replace(one, joined=row.joined) for row in rows if (one := known.get(row.id)) is not None
            ]
            told = await matches.among(db, there, self._wanted)
        return sorted(told, key=lambda row: row.turn)


def _key(row: Row, by: By) -> tuple[bool, Any]:
    said = row.values.get(by.attribute.name)
    if not said:
        return True, 0
    return False, _Backwards(said[0]) if by.descending else said[0]
