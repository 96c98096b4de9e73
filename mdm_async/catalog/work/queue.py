"""Work as rows: any node takes a page of a queue, and each row is one node's until it is settled or its lease lapses.

A row that fails waits longer each time before it is due again, so that it does not keep the others. Nothing is
locked and no connection held between taking a row and settling it.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import uuid4

from mdm_async.postgres.database import Connection

LEASE = 30.0
"""Seconds that a row is a node's, who renews it while it works."""
COUNTED = 10_000
"""A longer queue is not counted to its end."""
SHOWN = 20
"""Failures that are told of a queue."""
_MOST_ATTEMPTS = 1_000_000
"""Counted no further: one row's count must not keep a page from being taken."""
_FIRST_PAUSE, _LONGEST_PAUSE = 5.0, 3600.0
"""Seconds that a row waits after its first failure, and at the most; the pause doubles each time."""


@dataclass(frozen=True, slots=True)
class Row:
    """A row that was taken: its key, and by what it shows that it is still this taker's."""

    key: tuple[Any, ...]
    taken_by: str


def taker_of(node: str) -> str:
    """Who takes rows now, for a node."""
    return f"{node}#{uuid4().hex[:12]}"


@dataclass(frozen=True, slots=True)
class Failure:
    """A row that failed: `reason` is the kind of error, never its words."""

    key: tuple[Any, ...]
    reason: str
    attempts: int
    due: datetime


@dataclass(frozen=True, slots=True)
class Standing:
    """How a queue stands; `length` counts no further than COUNTED."""

    queue: str
    length: int
    oldest: float | None
    """Seconds since its oldest row came; None when it has none, or that is not known."""
    taken: int
    """Rows that some node works on now."""
    failed: int
    failures: tuple[Failure, ...]


@dataclass(frozen=True, slots=True)
class Queue:
    """A table whose rows are work, or those of them for which `only` holds.

    It has the columns `due` (indexed for these rows), `attempts`, `failure` and `taken_by`.
    """

    name: str
    table: str
    key: tuple[str, ...]
    types: tuple[str, ...]
    only: str = "true"
    since: str = "since"

    async def take(self, db: Connection, node: str, count: int) -> list[Row]:
        """Rows that are due, for this node alone."""
        taker = taker_of(node)
        keys = ", ".join(self.key)
        rows = await db.fetch(
            f"with page as materialized (select {keys} from {self.table} where {self.only} and due <= now()"
            "  order by due limit $2 for update skip locked)"
            f" update {self.table} t set taken_by = $1, due = now() + make_interval(secs => $3),"
            f" attempts = least(attempts, {_MOST_ATTEMPTS}) + 1 from page w where {self._same}"
            f" returning {', '.join(f't.{name}' for name in self.key)}",
            taker,
            count,
            LEASE,
        )
        return [Row(tuple(row.values()), taker) for row in rows]

    async def renew(self, db: Connection, rows: Collection[Row]) -> None:
        """Keep rows that are being worked on."""
        await db.execute(
            f"update {self.table} t set due = now() + make_interval(secs => ${self._last})"
            f" from {self._held} where {self._mine}",
            *self._columns(rows),
            LEASE,
        )

    async def done(self, db: Connection, rows: Collection[Row]) -> None:
        """Drop rows whose work is done. One that was added again meanwhile stays."""
        await db.execute(
            f"delete from {self.table} t using {self._held} where {self._mine}", *self._columns(rows)
        )

    async def put_back(self, db: Connection, rows: Collection[Row], seconds: float) -> None:
        """Let go of rows that are not done; they are due again in so many seconds, and have not failed."""
        await db.execute(
            f"update {self.table} t set taken_by = null, due = now() + make_interval(secs => ${self._last}),"
            " attempts = attempts - 1"
            f" from {self._held} where {self._mine}",
            *self._columns(rows),
            seconds,
        )

    async def fail(self, db: Connection, row: Row, reason: str) -> None:
        """Let go of a row that failed, for longer each time."""
        pause = f"least({_LONGEST_PAUSE}, {_FIRST_PAUSE} * 2.0 ^ least(attempts - 1, 30))"
        await db.execute(
            f"update {self.table} t set taken_by = null, failure = ${self._last},"
            f" due = now() + make_interval(secs => {pause}) from {self._held} where {self._mine}",
            *self._columns([row]),
            reason,
        )

    async def hurry(self, db: Connection, count: int) -> int:
        """Let some rows that failed be tried at once; how many."""
        keys = ", ".join(self.key)
        status = await db.execute(
            f"with page as materialized (select {keys} from {self.table}"
            f"  where {self.only} and due > now() and taken_by is null order by due limit $1 for update skip locked)"
            f" update {self.table} t set due = now() from page w where {self._same}",
            count,
        )
        return int(status.removeprefix("UPDATE "))

    async def give_back(self, db: Connection, node: str) -> None:
        """Let go of what this node had taken before it was started anew."""
        await db.execute(
            # A row that is taken is due when its lease ends: others that wait for longer are not looked at.
            f"with page as materialized (select {', '.join(self.key)} from {self.table}"
            f"  where {self.only} and due > now() and due <= now() + make_interval(secs => $2)"
            "   and starts_with(taken_by, $1) order by due for update)"
            f" update {self.table} t set taken_by = null, due = now() from page w where {self._same}",
            f"{node}#",
            LEASE,
        )

    async def standing(self, db: Connection) -> Standing:
        some = f"(select * from {self.table} where {self.only} limit {COUNTED}) q"
        row = await db.fetchrow(
            f"select count(*) as length, extract(epoch from now() - min({self.since}))::float8 as oldest,"
            " count(*) filter (where taken_by is not null and due > now()) as taken,"
            f" count(failure) as failed from {some}"
        )
        assert row is not None
        failures = await db.fetch(
            f"select {', '.join(self.key)}, failure, attempts, due from {some}"
            f" where failure is not null order by due limit {SHOWN}"
        )
        told = tuple(Failure(tuple(one.values())[:-3], *tuple(one.values())[-3:]) for one in failures)
        return Standing(self.name, row["length"], row["oldest"], row["taken"], row["failed"], told)

    @property
    def _same(self) -> str:
        return " and ".join(f"t.{name} = w.{name}" for name in self.key)

    @property
    def _held(self) -> str:
        arrays = ", ".join(f"${place}::{kind}[]" for place, kind in enumerate(("text", *self.types), 1))
        return f"unnest({arrays}) as w (taken_by, {', '.join(self.key)})"

    @property
    def _mine(self) -> str:
        return f"{self._same} and t.taken_by = w.taken_by"

    @property
    def _last(self) -> int:
        return len(self.key) + 2

    def _columns(self, rows: Collection[Row]) -> Sequence[list[Any]]:
        return [
            [row.taken_by for row in rows],
            *([row.key[place] for row in rows] for place in range(len(self.key))),
        ]
