"""Joins: beside each entry that matches, entries from elsewhere of which the same is said.

What is joined is searched for first, as any caller might, and kept in memory by the values that it is joined on. So
it is bounded, and what is hidden of it makes no difference.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import product
from math import prod
from typing import Any, Final

from mdm_async.catalog.metadata import matches
from mdm_async.catalog.metadata.columns import DicomAttribute, JoinedAttribute
from mdm_async.catalog.metadata.matches import Known, Row, Wanted
from mdm_async.catalog.namespace import places
from mdm_async.errors import BadRequest, TooLarge
from mdm_async.images.metadata.rows import Desk, Found, Pages, known_of
from mdm_async.names import Caller, View
from mdm_async.querying import conditions
from mdm_async.querying.attributes import Attribute
from mdm_async.querying.conditions import Compared, Condition, Operator, conjuncts, every, renamed

MOST_JOINS: Final = 4
MOST_JOINED: Final = 10_000
"""Entries that are joined, and what is looked at together with one of them, or at once."""
MOST_JOINED_BYTES: Final = 16 << 20
"""Of values of theirs."""
_OVERHEAD: Final = 64
"""Bytes that a value takes besides its text."""


@dataclass(frozen=True, slots=True)
class Divided:
    """A query with joins in its parts."""

    main: Condition
    """Of the entries themselves."""
    pairs: Condition
    """Of them and of what is joined to them."""
    sides: Mapping[str, "Side"]


@dataclass(frozen=True, slots=True)
class Side:
    """What is joined under an alias: `key` (of what is joined) has a value that `to` (of the entry) has too."""

    condition: Condition
    key: JoinedAttribute
    to: Attribute


def divided(condition: Condition, aliases: Sequence[str]) -> Divided:
    """Raises BadRequest where nothing says what is to be joined to what."""
    if len(aliases) > MOST_JOINS:
        raise BadRequest(f"a query has {MOST_JOINS} joins at the most")
    main: list[Condition] = []
    pairs: list[Condition] = []
    own: dict[str, list[Condition]] = {alias: [] for alias in aliases}
    keys: dict[str, tuple[JoinedAttribute, Attribute]] = {}
    for one in conjuncts(condition):
        of = {attribute.alias if isinstance(attribute, JoinedAttribute) else "" for attribute in _in(one)}
        if of == {""}:
            main.append(one)
        elif len(of) == 1:
            own[of.pop()].append(renamed(one, _inner))
        else:
            pairs.append(one)
            if (key := _key(one)) is not None:
                keys.setdefault(key[0].alias, key)
    for alias in aliases:
        if alias not in keys:
            raise BadRequest(
                "the query does not say what is joined to what",
                remedy="add a condition for each join, as: and c.mine.patient = PatientID",
            )
    main += [conditions.Known(to) for _, to in keys.values()]
    sides = {
        alias: Side(every([*own[alias], conditions.Known(_inner(key))]), key, to)
        for alias, (key, to) in keys.items()
    }
    return Divided(every(main), every(pairs), sides)


def _in(condition: Condition) -> Iterator[Attribute]:
    return conditions.attributes(condition)


def _inner(attribute: Attribute) -> Attribute:
    return attribute.of if isinstance(attribute, JoinedAttribute) else attribute


def _key(condition: Condition) -> tuple[JoinedAttribute, Attribute] | None:
    match condition:
        case Compared(JoinedAttribute() as key, Operator.EQUAL, Attribute() as to):
            return None if isinstance(to, JoinedAttribute) else (key, to)
        case Compared(Attribute() as to, Operator.EQUAL, JoinedAttribute() as key):
            return key, to
    return None


@dataclass(frozen=True, slots=True)
class _One:
    """What is told of an entry that is joined, by the names that the query has for it. `size`: bytes."""

    told: dict[str, Any]
    size: int

    @classmethod
    def of(cls, told: dict[str, Any]) -> "_One":
        said = (value for values in told.values() for value in values)
        return cls(told, sum(_OVERHEAD + (len(value) if isinstance(value, str) else 0) for value in said))


@dataclass(slots=True)
class Joined:
    """What is joined under one alias, as it is read: rows by the values of the key."""

    _side: Side
    _named: Mapping[str, str]
    """The names by which the query calls what is told, by those that it has there."""
    _pages: Pages
    _rows: dict[object, list[_One]] = field(default_factory=dict)
    _count: int = 0
    _size: int = 0

    @classmethod
    def begin(
        cls,
        desk: Desk,
        caller: Caller,
        path: str,
        side: Side,
        used: Sequence[JoinedAttribute],
        wanted: Wanted,
    ) -> "Joined":
        """`used`: the attributes that are asked or told of it; `wanted`: of the entries that it is joined to."""
        inner = tuple({one.of.name: one.of for one in (*used, side.key)}.values())
        by_view = any(isinstance(one, DicomAttribute) for one in (*_in(side.condition), *inner))
        of_side = replace(
            wanted,
            condition=side.condition,
            chosen=inner,
            everything=False,
            view=wanted.view if by_view else None,
            needs_view=by_view,
        )
        named = {one.of.name: one.name for one in (*used, side.key)}
        return cls(side, named, Found(desk, caller, path, of_side))

    async def read(self) -> bool:
        """Read some more; False when there is none. Raises TooLarge."""
        rows = await self._pages.next()
        for row in rows or ():
            told = _One.of({self._named[name]: said for name, said in row.values.items()})
            self._count += 1
            self._size += told.size
            if self._count > MOST_JOINED or self._size > MOST_JOINED_BYTES:
                raise TooLarge(
                    f"more than {MOST_JOINED} entries, or {MOST_JOINED_BYTES >> 20} MiB of what is asked of them,"
                    " are to be joined",
                    remedy="say more of them in the query, or name a directory that holds fewer",
                )
            for value in row.values.get(self._side.key.of.name, ()):
                self._rows.setdefault(value, []).append(told)
        return rows is not None

    def to(self, row: Row) -> list[_One]:
        """What is joined to an entry."""
        found: dict[int, _One] = {}
        for value in row.values.get(self._side.to.name, ()):
            found |= {id(one): one for one in self._rows.get(value, ())}
        return list(found.values())


@dataclass(slots=True)
class Pairs:
    """Entries with what is joined to them; `told` of each, as the query wants it."""

    _desk: Desk
    _caller: Caller
    _entries: Pages
    _sides: Sequence[Joined]
    _wanted: Wanted
    _unread: list[Joined] = field(init=False)
    _rows: list[Row] = field(init=False, default_factory=list)
    """Entries that were found, and not looked at yet."""

    def __post_init__(self) -> None:
        self._unread = list(self._sides)

    @property
    def is_over(self) -> bool:
        return not self._unread and not self._rows and self._entries.is_over

    async def next(self) -> list[Row] | None:
        if self._unread:
            if not await self._unread[0].read():
                del self._unread[0]
            return []
        if self._rows:
            self._rows = await self._still_known(self._rows)
        else:
            rows = await self._entries.next()
            if rows is None:
                return None
            self._rows = rows
        known = self._some()
        if not known:
            return []
        async with self._desk.database.acquire() as db:
            return await matches.among(db, known, self._wanted)

    async def _still_known(self, rows: Sequence[Row]) -> list[Row]:
        """Those that the caller may know of as they were found: whoever reads slowly is told nothing of before."""
        async with self._desk.database.acquire() as db:
            found = await places.of_entries(db, {row.id for row in rows})
        known = known_of(self._caller, self._wanted, list(found.values()))
        now = {(one.id, one.image, one.view if one.readable else None) for one in known}
        return [row for row in rows if (row.id, row.image, row.view) in now]

    def _some(self) -> list[Known]:
        """The pairs of the next entries, as far as they are few enough. How many entries were found at once must make
        no difference: it depends on what nobody may see."""
        known: list[Known] = []
        size = count = 0
        for row in self._rows:
            sides = [side.to(row) for side in self._sides]
            pairs = prod(map(len, sides))
            bytes_ = sum(one.size * (pairs // len(side)) for side in sides for one in side)
            if len(known) + pairs > MOST_JOINED or size + bytes_ > MOST_JOINED_BYTES:
                break
            known += _pairs(row, sides)
            size += bytes_
            count += 1
        if self._rows and not count:
            raise TooLarge(
                f"more than {MOST_JOINED} pairs of one entry are to be looked at, or"
                f" {MOST_JOINED_BYTES >> 20} MiB of what is asked of them",
                remedy="say more of what is joined in the query",
            )
        del self._rows[:count]
        return known


def _pairs(row: Row, sides: Sequence[Sequence[_One]]) -> Iterator[Known]:
    for each in product(*sides):
        joined = {name: said for one in each for name, said in one.told.items()}
        yield Known(row.id, row.image, row.view or View(""), row.view is not None, row.lfn, joined)
