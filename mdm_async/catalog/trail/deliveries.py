"""What the audit tells of to whom a file's bytes went."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from mdm_async.postgres.database import Connection

MOST = 10_000
"""Rows that are looked at of each entry, the newest."""


@dataclass(frozen=True, slots=True)
class Delivery:
    """What one caller had of one entry in one view. `bytes` were sent; of the identified view, whole segments."""

    guid: UUID
    caller: str
    view: str | None
    first: datetime
    last: datetime
    bytes: int
    sealed: bool
    """Some of it sealed: its first byte gives the key of the image's pixels."""
    recipients: tuple[str, ...]
    """The X25519 keys that it was sealed for, in hexadecimal."""
    servers: tuple[str, ...]
    """Where the caller had it copied to by this server."""


async def of_entries(db: Connection, since: dict[UUID, datetime]) -> list[Delivery]:
    """By entry (its GUID) and since when it may have been this image's."""
    rows = await db.fetch(_DELIVERIES, list(since), list(since.values()), MOST)
    return [
        Delivery(
            row["guid"],
            row["caller"],
            row["view"],
            row["first"],
            row["last"],
            row["bytes"],
            row["sealed"],
            tuple(row["recipients"]),
            tuple(row["servers"]),
        )
        for row in rows
    ]


_DELIVERIES = """
select w.guid, a.caller, a.view, min(a.at) as first, max(a.at) as last,
    coalesce(sum(a.bytes), 0)::bigint as bytes,
    bool_or(a.act = 'read' and a.details ? 'disclosed') as sealed,
    array_remove(array_agg(distinct a.details ->> 'recipient'), null) as recipients,
    array_remove(array_agg(distinct case a.act when 'copy' then a.details ->> 'to' end), null) as servers
from unnest($1::uuid[], $2::timestamptz[]) as w (guid, since)
cross join lateral (
    select at, act, caller, view, bytes, details from audit where guid = w.guid and at >= w.since
    order by id desc limit $3
) a
where a.act in ('read', 'copy', 'prepare get')
group by 1, 2, 3 having bool_or(a.act = 'read') order by 1, 2, 3
"""
