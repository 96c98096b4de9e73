"""The change feed: what was changed that live transfers hang on. The catalog's triggers write it, with every change.

Ids are given out before transactions commit, so whoever remembered the last id would miss what commits late. A reader
remembers the snapshot that it read in: what is new is visible now and was not visible then, whatever its number.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TypeVar
from uuid import UUID

from mdm_async.postgres.database import Connection

KEPT = 600.0
"""Seconds that the feed reaches back, at least."""
MOST = 2000
"""Rows that are read at once; of more, nobody wants to know each."""
_TRIMMED = 5000

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Changes:
    """What was changed. Entries count with all that lies below them; `ended` are transfer URLs that are over."""

    entries: frozenset[int] = frozenset()
    tokens: frozenset[int] = frozenset()
    images: frozenset[UUID] = frozenset()
    turls: frozenset[bytes] = frozenset()
    ended: frozenset[bytes] = frozenset()
    everything: bool = False
    """It is not known what: anything may have changed."""

    @property
    def is_nothing(self) -> bool:
        return not (self.everything or self.entries or self.tokens or self.images or self.turls or self.ended)


EVERYTHING = Changes(everything=True)


@dataclass(frozen=True, slots=True)
class Look:
    """What is new, and the snapshot to go on from."""

    changes: Changes
    snapshot: str


async def read(db: Connection, since: str | None) -> Look:
    """What has been committed since a snapshot; everything when the feed does not reach so far back, or None."""
    if since is None:
        snapshot: str = await db.fetchval("select pg_current_snapshot()::text")
        return Look(EVERYTHING, snapshot)
    rows = await db.fetch(_READ, since, MOST + 1)
    snapshot = rows[0]["snapshot"]
    if rows[0]["is_trimmed"] or len(rows) > MOST:
        return Look(EVERYTHING, snapshot)
    return Look(
        Changes(
            frozenset(_all(row["entries"] for row in rows)),
            frozenset(_all(row["tokens"] for row in rows)),
            frozenset(_all(row["images"] for row in rows)),
            frozenset(_all(row["turls"] for row in rows)),
            frozenset(_all(row["ended"] for row in rows)),
        ),
        snapshot,
    )


def _all(lists: Iterable[list[T] | None]) -> Iterable[T]:
    return (one for some in lists if some for one in some)


# Those who ran then may have written anything since, so reading begins with the oldest of them.
_READ = """
select pg_current_snapshot()::text as snapshot,
    pg_snapshot_xmax($1::text::pg_snapshot) <= i.changes_trimmed as is_trimmed,
    c.entries, c.tokens, c.images, c.turls, c.ended
from installation i left join lateral (
    select * from changes
    where transaction >= pg_snapshot_xmin($1::text::pg_snapshot)
        and not pg_visible_in_snapshot(transaction, $1::text::pg_snapshot)
    order by transaction limit $2
) c on true
"""


async def trim(db: Connection) -> bool:
    """Forget what every reader has had `KEPT` seconds for, a page of it; True when there is more. In a transaction.

    A row's age does not say whether it could be read: its transaction may have ended just now. So what goes is what
    was visible in a snapshot as old as that.
    """
    row = await db.fetchrow(
        "select changes_marked < now() - make_interval(secs => $1) as is_due from installation"
        " where pg_try_advisory_xact_lock(hashtext('mdm changes trimmed'))",
        KEPT,
    )
    if row is None or not row["is_due"]:
        return False
    status = await db.execute(
        "with mark as materialized (select changes_mark as old from installation) delete from changes"
        " where ctid = any(array(select c.ctid from changes c, mark"
        "  where c.transaction < pg_snapshot_xmax(mark.old) and pg_visible_in_snapshot(c.transaction, mark.old)"
        "  limit $1))",
        _TRIMMED,
    )
    await db.execute("update installation set changes_trimmed = pg_snapshot_xmax(changes_mark)")
    if status == f"DELETE {_TRIMMED}":
        return True
    await db.execute("update installation set changes_mark = pg_current_snapshot(), changes_marked = now()")
    return False


async def tell_older_nodes(db: Connection) -> None:
    """Say that rights have changed to nodes of the version before, which look at this number and at no feed.

    Not in the transactions of changes: all would wait for this one row.
    """
    await db.execute("update installation set acl_epoch = acl_epoch + 1")
