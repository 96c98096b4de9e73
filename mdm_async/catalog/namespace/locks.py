"""Locks of names (RFC 4918 §6). That names and files are only changed by who shows a lock's token, Postgres sees to."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

import asyncpg

from mdm_async.errors import Locked, TooManyRequests
from mdm_async.postgres.database import Connection
from mdm_async.postgres.shown_locks import shown_locks

_COLUMNS = "token, parent, name, way, deep, shared, owner, account, told, expires, now() as seen"


@dataclass(frozen=True, slots=True)
class Lock:
    """A lock of what has this name, or will have it."""

    token: UUID
    parent: int
    """The directory that holds the name; 0: of the root."""
    name: str
    way: tuple[int, ...]
    """The ids of the directories above, from the root down."""
    deep: bool
    shared: bool
    owner: str
    """`Caller.owner`."""
    account: str
    told: bytes | None
    """What the client said of its owner, sealed."""
    expires: datetime | None = None
    seen: datetime | None = None

    @property
    def seconds(self) -> int:
        """It still has, when it was read."""
        if self.expires is None or self.seen is None:
            return 0
        return max(round((self.expires - self.seen).total_seconds()), 0)


async def take(db: Connection, lock: Lock, below: int | None, seconds: int, most: int, each: int) -> Lock:
    """Lock a name. `below`: the directory that has it, if one has. `most`, `each`: how many locks there may be, and of
    one account. Raises Locked, TooManyRequests.
    """
    await db.execute(
        "select pg_advisory_xact_lock(hashtext('mdm locks'))"
    )  # two at once would not see each other
    await db.execute(
        "delete from locks where token = any(array(select token from locks where expires <= now()"
        " order by expires limit 1000))"
    )
    row = await db.fetchrow(
        "select (select count(*) from (select from locks limit $1) l) as all,"
        " (select count(*) from (select from locks where account = $2 limit $3) l) as own",
        most,
        lock.account,
        each,
    )
    assert row is not None
    if row["own"] >= each or row["all"] >= most:
        raise TooManyRequests(
            f"there are too many locks: {each} of one caller, {most} of all",
            remedy="give some up (UNLOCK), or wait until they end",
            retry_after=60,
        )
    taken = await db.fetchval(
        "select exists (select from locks_over($1, $2) o where (o.height = 0 or o.deep) and not ($3 and o.shared))"
        " or $4 and exists (select from locks_below($5) b where b.expires > now() and not ($3 and b.shared))",
        lock.parent,
        lock.name,
        lock.shared,
        lock.deep and below is not None,
        below,
    )
    if taken:
        raise Locked(
            "it is locked already, or something in it", remedy="wait until the lock is given up or ends"
        )
    row = await db.fetchrow(
        "insert into locks (token, parent, name, way, deep, shared, owner, account, told, expires)"
        f" values ($1, $2, $3, $4, $5, $6, $7, $8, $9, now() + make_interval(secs => $10)) returning {_COLUMNS}",
        lock.token,
        lock.parent,
        lock.name,
        list(lock.way),
        lock.deep,
        lock.shared,
        lock.owner,
        lock.account,
        lock.told,
        seconds,
    )
    assert row is not None
    return _lock(row)


async def over(db: Connection, names: Sequence[tuple[int, str]]) -> list[list[Lock]]:
    """The locks that names have, each in the directory of an id: their own, and those of directories above."""
    rows = await db.fetch(
        f"select n.place, {', '.join('l.' + one for one in _COLUMNS.split(', ')[:-1])}, now() as seen"
        " from unnest($1::bigint[], $2::text[]) with ordinality as n (parent, name, place)"
        " cross join lateral (select token from locks_over(n.parent, n.name) o where o.height = 0 or o.deep) o"
        " cross join lateral (select * from locks where locks.token = o.token offset 0) l order by l.token",
        [parent for parent, _ in names],
        [name for _, name in names],
    )
    found: list[list[Lock]] = [[] for _ in names]
    for row in rows:
        found[row["place"] - 1].append(_lock(row))
    return found


async def refresh(db: Connection, token: UUID, seconds: int) -> None:
    """Let a lock last so long from now on."""
    await db.execute(
        "update locks set expires = now() + make_interval(secs => $2) where token = $1", token, seconds
    )


async def give_up(db: Connection, token: UUID) -> None:
    await db.execute("delete from locks where token = $1", token)


async def own(db: Connection, tokens: Collection[UUID], owner: str) -> frozenset[UUID]:
    """Those of these that are this owner's."""
    rows = await db.fetch(
        "select token from locks where token = any($1::uuid[]) and owner = $2 and expires > now()",
        list(tokens),
        owner,
    )
    return frozenset(row["token"] for row in rows)


async def locked(db: Connection, entries: Collection[int]) -> frozenset[int]:
    """Those of these files that only who shows a lock's token may remove, and this request does not."""
    shown = list(shown_locks.get())
    rows = await db.fetch(
        "select e.id from unnest($1::bigint[]) as w (id) cross join lateral ("
        "  select id, parent, name from entries where id = w.id and exists (select from locks) limit 1) e"
        " where exists (select from locks_over(e.parent, e.name) o group by o.root"
        "  having not bool_or(o.token = any($2::uuid[])))",
        list(entries),
        shown,
    )
    return frozenset(row["id"] for row in rows)


async def demand_unlocked(db: Connection, parent: int, name: str) -> None:
    """Return when what has this name may be changed without another name or content. Raises Locked."""
    await db.execute("select demand_unlocked($1, $2, false, null)", parent, name)


def _lock(row: asyncpg.Record) -> Lock:
    told = {
        key: row[key] for key in ("token", "parent", "name", "deep", "shared", "owner", "account", "told")
    }
    return Lock(**told, way=tuple(row["way"]), expires=row["expires"], seen=row["seen"])
