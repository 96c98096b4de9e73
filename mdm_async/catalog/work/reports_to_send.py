"""Reports of storage commitment, from the request until the device has taken its report, or it is too old.

Those for a device's own port are work of any node. Others wait here for an association of the device's.
"""

from typing import NamedTuple

from mdm_async.catalog.work.queue import Queue, Row
from mdm_async.postgres.database import Connection

REPORTS_TO_SEND = Queue("reports to send", "reports_to_send", ("id",), ("bigint",), only="called")
ANSWERED = 5.0
"""Seconds after which a request is taken to be answered, and may be reported of, when nobody could say so."""
_TAKEN = 5.0
"""Seconds in which a device is to answer a report in its own association; then it may have it in another."""


class Waiting(NamedTuple):
    """A report that waits for an association of the device at this address."""

    id: int
    source: str


class Wanted(NamedTuple):
    """What is to be reported: to whom, and of what, sealed."""

    ae: str
    source: str
    asked: bytes


class Device(NamedTuple):
    ae: str
    source: str


async def add(
    db: Connection, device: Device, asked: bytes, *, called: bool, most: int, most_bytes: int
) -> int | None:
    """In a transaction. None where a device's requests would be more than that, or longer in all."""
    await db.execute(
        "select pg_advisory_xact_lock(hashtextextended('mdm reports ' || $1::text, 0))", device.ae
    )
    id_: int | None = await db.fetchval(
        "insert into reports_to_send (ae, source, called, asked, due)"
        " select $1::text, $2::text, $3::boolean, $4::bytea, now() + make_interval(secs => $5) from ("
        "  select count(*) as number, coalesce(sum(octet_length(asked)), 0) as bytes"
        "  from reports_to_send where ae = $1"
        " ) there where number < $6 and bytes + octet_length($4) <= $7 returning id",
        device.ae,
        device.source,
        called,
        asked,
        ANSWERED if called else 0.0,
        most,
        most_bytes,
    )
    return id_


async def answered(db: Connection, id_: int) -> None:
    """The device knows that a report will come; it may."""
    await db.execute(
        "update reports_to_send set due = now() where id = $1 and attempts = 0 and due > now()", id_
    )


async def wanted(db: Connection, id_: int) -> Wanted | None:
    """None when it is no more."""
    row = await db.fetchrow("select ae, source, asked from reports_to_send where id = $1", id_)
    return Wanted(*row) if row is not None else None


async def waiting(db: Connection, ae: str, most: int) -> list[Waiting]:
    """Those that wait for an association of an AE, and are on their way in none; the last asked for first."""
    rows = await db.fetch(
        "select id, source from reports_to_send where ae = $1 and not called and due <= now()"
        " order by id desc limit $2",
        ae,
        most,
    )
    return [Waiting(*row) for row in rows]


async def take(db: Connection, id_: int) -> bool:
    """Whether it may be given to the device now; another association may have it."""
    status = await db.execute(
        "update reports_to_send set due = now() + make_interval(secs => $2), attempts = attempts + 1"
        " where id = $1 and due <= now()",
        id_,
        _TAKEN,
    )
    return status != "UPDATE 0"


async def done(db: Connection, id_: int) -> None:
    await db.execute("delete from reports_to_send where id = $1", id_)


async def drop_older(db: Connection, hours: float) -> list[str]:
    """The titles of those whose reports were given up, once for each."""
    rows = await db.fetch(
        "delete from reports_to_send where since < now() - make_interval(secs => $1 * 3600) returning ae",
        hours,
    )
    return [row["ae"] for row in rows]


async def devices(db: Connection) -> list[Device]:
    """Who waits for reports."""
    return [Device(*row) for row in await db.fetch("select distinct ae, source from reports_to_send")]


async def call(db: Connection, device: Device, *, called: bool) -> None:
    """What the settings say now of who has a port."""
    await db.execute(
        "update reports_to_send set called = $3, due = now(), taken_by = null"
        " where ae = $1 and source = $2 and called <> $3",
        device.ae,
        device.source,
        called,
    )


def id_of(row: Row) -> int:
    return int(row.key[0])
