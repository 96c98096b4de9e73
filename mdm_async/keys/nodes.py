"""The nodes of one key store: each reports which key-encryption keys (KEKs) it has, and reads what others have."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime

from mdm_async.postgres.database import Connection

LIVE: float = 60.0
"""Seconds since its last report after which a node counts as away."""
_KNOWN = 1000


@dataclass(frozen=True, slots=True)
class Node:
    """`keeps`: it destroys keys itself, in a file of its own."""

    name: str
    keeps: bool
    has: frozenset[int]
    in_use: int
    live: bool
    seen: datetime


async def report(
    db: Connection, name: str, *, keeps: bool, has: Collection[int], in_use: int
) -> tuple[datetime | None, datetime]:
    """When it reported last, as far as is known here, and now."""
    row = await db.fetchrow(
        "insert into mdm_keys.nodes (node, keeps, has, in_use) values ($1, $2, $3, $4)"
        " on conflict (node) do update set keeps = $2, has = $3, in_use = $4, seen = now()"
        " returning (select seen from mdm_keys.nodes where node = $1) as before, seen",
        name,
        keeps,
        sorted(has),
        in_use,
    )
    assert row is not None
    return row["before"], row["seen"]


async def known(db: Connection) -> list[Node]:
    """Those that are live, or may have a key that lies on their disk."""
    rows = await db.fetch(
        "select node, keeps, has, in_use, seen, seen > now() - make_interval(secs => $1) as live"
        " from mdm_keys.nodes order by seen desc limit $2",
        LIVE,
        _KNOWN,
    )
    return [
        Node(row["node"], row["keeps"], frozenset(row["has"]), row["in_use"], row["live"], row["seen"])
        for row in rows
        if row["live"] or row["keeps"]
    ]


async def strike_off(db: Connection, names: Collection[str]) -> list[str]:
    """Nodes that will not come back, with the keys that they had; those of them that were away."""
    rows = await db.fetch(
        "delete from mdm_keys.nodes where node = any($1::text[])"
        " and seen <= now() - make_interval(secs => $2) returning node",
        list(names),
        LIVE,
    )
    return [row["node"] for row in rows]
