"""What deep checks have found of stored images; and the turns of the one that goes on by itself, of all nodes one."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final
from uuid import UUID

import asyncpg

from mdm_async.postgres.database import Connection

_HELD: Final = 300.0
"""Seconds for which a turn is a node's alone."""
_FIRST: Final = UUID(int=0)
_ALL: Final = 1 << 128


@dataclass(frozen=True, slots=True)
class Damage:
    """What does not open, or is not what it was: of a `kind`, `what` in words. `view`: whose it is, None where all of
    the image's are meant; `part` and its `blob`, of bytes; `found` when it was the first time."""

    kind: str
    what: str
    view: str | None = None
    version: str = ""
    part: UUID | None = None
    blob: UUID | None = None
    found: datetime | None = None


async def put_down(db: Connection, looked: Collection[UUID], damaged: Sequence[tuple[UUID, Damage]]) -> None:
    """What was found of these images, in place of what was known of them; what was known stays as old as it was."""
    rows = [
        (image, one.kind, one.view or "", one.version, one.part or _FIRST, one.blob, one.what)
        for image, one in damaged
    ]
    columns = list(zip(*rows, strict=True)) if rows else [()] * 7
    types = "$2::uuid[], $3::text[], $4::text[], $5::text[], $6::uuid[], $7::uuid[], $8::text[]"
    await db.execute(
        f"with now as materialized (select * from unnest({types}) as n (image, kind, view, version, part, blob, what)),"
        " mended as (delete from damage d where image = any($1::uuid[]) and not exists ("
        "  select from now n where n.image = d.image and n.kind = d.kind and n.view = d.view"
        "  and n.version = d.version and n.part = d.part and n.what = d.what))"
        " insert into damage (image, kind, view, version, part, blob, what) select n.* from now n"
        " where exists (select from images i where i.id = n.image offset 0) on conflict do nothing",
        list(looked),
        *map(list, columns),
    )


async def page(db: Connection, after: UUID, count: int) -> list[tuple[UUID, Damage]]:
    """What is known of so many images behind this one, in their order."""
    rows = await db.fetch(
        "select d.* from (select distinct image from damage where image > $1 order by image limit $2) few"
        " join damage d using (image) order by image, kind, view, version, part",
        after,
        count,
    )
    return [(row["image"], _damage(row)) for row in rows]


def _damage(row: asyncpg.Record) -> Damage:
    part = row["part"] if row["part"] != _FIRST else None
    view = row["view"] or None
    return Damage(row["kind"], row["what"], view, row["version"], part, row["blob"], row["found"])


async def parts(db: Connection) -> int:
    """How many parts are damaged."""
    count: int = await db.fetchval("select count(distinct part) from damage where kind in ('part', 'lost')")
    return count


async def turn(db: Connection, seconds: float) -> UUID | None:
    """In a transaction: after which image to go on, so that all are looked at once in so many seconds; None when it is
    not time, or another node is at it. Images' ids are evenly spread."""
    row = await db.fetchrow(
        "select after, ended is not null as ended, held_until > now() as held,"
        " extract(epoch from now() - begun)::float8 as elapsed from deep_check for update"
    )
    assert row is not None
    after: UUID = row["after"]
    if row["held"]:
        return None
    if row["ended"]:
        if row["elapsed"] < seconds:
            return None
        after = _FIRST
        await db.execute("update deep_check set begun = now(), after = $1, ended = null", after)
    elif after.int / _ALL > row["elapsed"] / seconds:
        return None
    await db.execute("update deep_check set held_until = now() + make_interval(secs => $1)", _HELD)
    return after


async def end_turn(db: Connection, next_: UUID | None) -> None:
    """The next one goes on after this image; None: all were looked at."""
    await db.execute(
        "update deep_check set held_until = now(), after = coalesce($1, after),"
        " ended = case when $1::uuid is null then now() end",
        next_,
    )


@dataclass(frozen=True, slots=True)
class Standing:
    """Of the check that goes on by itself: since when, when it was through (None: it is not), and which `share` (0 to
    1) of all images it has looked at."""

    begun: datetime
    ended: datetime | None
    share: float


async def standing(db: Connection) -> Standing:
    row = await db.fetchrow("select begun, ended, after from deep_check")
    assert row is not None
    return Standing(row["begun"], row["ended"], 1.0 if row["ended"] else row["after"].int / _ALL)
