"""Which rows of the trail wait for a seal, without a mark on any of them.

All ids up to one have been looked at. Those that had no row then are kept as gaps: their transactions may have been
rolled back, or may still commit. A gap is closed when every transaction that could fill it is over.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import asyncpg

from mdm_async.catalog.trail.ledger import COLUMNS
from mdm_async.postgres.database import Connection

_UNNUMBERED = 10 * 1_000_000
"""Microseconds between an id and its transaction's own number, at the most, by far."""


class Gap(NamedTuple):
    """Ids from `first` to `last`, found without rows at `since` (microseconds).

    `transaction`: whoever writes there has a smaller number; None while some may have none yet.
    """

    first: int
    last: int
    since: int
    transaction: int | None


@dataclass(frozen=True, slots=True)
class Waiting:
    """Rows in order of their ids, late ones among them, and what is to be known when they are sealed."""

    rows: Sequence[asyncpg.Record]
    upto: int
    gaps: Sequence[Gap]


async def waiting(db: Connection, now: int, count: int) -> Waiting:
    """Rows to be sealed next, at most `count`. Nobody else may seal until the transaction ends."""
    state = await db.fetchrow(
        "select upto, waiting, pg_snapshot_xmin(s)::text::bigint as oldest, pg_snapshot_xmax(s)::text::bigint as next"
        " from audit_sealing, pg_current_snapshot() s"
    )
    assert state is not None
    gaps = [Gap(*gap) for gap in state["waiting"]]
    # After the snapshot above, so that what ended before it is seen.
    late = await db.fetch(
        f"select {COLUMNS} from unnest($1::bigint[], $2::bigint[]) as gap (first, last) cross join lateral ("
        "  select * from audit where seal is null and id between gap.first and gap.last order by id limit $3"
        ") a order by id limit $3",
        [gap.first for gap in gaps],
        [gap.last for gap in gaps],
        count,
    )
    fresh: Sequence[asyncpg.Record] = []
    if len(late) < count:
        fresh = await db.fetch(
            # An id that was never given out is somebody's invention: whoever took it for the last would wait for all
            # that come before it.
            f"select {COLUMNS} from audit where seal is null and id > $1"
            " and id <= (select pg_sequence_last_value(pg_get_serial_sequence('audit', 'id')))"
            " order by id limit $2",
            state["upto"],
            count - len(late),
        )
        gaps = [
            gap._replace(transaction=state["next"])
            if gap.transaction is None and now - gap.since >= _UNNUMBERED
            else gap
            for gap in gaps
            if gap.transaction is None or gap.transaction > state["oldest"]
        ]
    ids = [row["id"] for row in fresh]
    upto = ids[-1] if ids else state["upto"]
    gaps = [*_without(gaps, [row["id"] for row in late]), *_between(state["upto"], ids, now)]
    return Waiting([*late, *fresh], upto, gaps)


async def sealed(db: Connection, found: Waiting) -> None:
    """These are under a seal, by the end of this transaction."""
    await db.execute("update audit_sealing set upto = $1, waiting = $2", found.upto, [*map(list, found.gaps)])


def _between(after: int, ids: Iterable[int], now: int) -> list[Gap]:
    gaps = []
    for id_ in ids:
        if id_ > after + 1:
            gaps.append(Gap(after + 1, id_ - 1, now, None))
        after = id_
    return gaps


def _without(gaps: Iterable[Gap], ids: Sequence[int]) -> list[Gap]:
    """What is left of gaps when these ids, in order, have rows."""
    left: list[Gap] = []
    for gap in gaps:
        first = gap.first
        for id_ in ids:
            if first <= id_ <= gap.last:
                if id_ > first:
                    left.append(gap._replace(first=first, last=id_ - 1))
                first = id_ + 1
        if first <= gap.last:
            left.append(gap._replace(first=first))
    return left
