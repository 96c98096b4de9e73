"""Shreds: what was destroyed for good, and how far each has come. They are work until they are final."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

import asyncpg

from mdm_async.catalog.work.queue import Queue
from mdm_async.errors import Conflict
from mdm_async.postgres.database import Connection

SHREDS = Queue("shreds to finish", "shreds", ("id",), ("uuid",), only="final is null", since="at")
SHOWN = 1000
"""Shreds that are listed at the most."""


@dataclass(frozen=True, slots=True)
class Shred:
    """One of them. `images` counts them; `now` is the database's clock."""

    id: UUID
    at: datetime
    caller: str
    owner: str
    granted: bool
    destroyed: datetime | None
    final: datetime | None
    images: int
    now: datetime

    @property
    def state(self) -> str:
        if self.final is not None:
            return "final"
        return "destroyed" if self.destroyed is not None else "begun"


@dataclass(frozen=True, slots=True)
class ShreddedImage:
    """What went with one image; `told` is what the receipt says of it. `older`: what it had been registered under
    before, and was not forgotten yet."""

    image: UUID
    registration: UUID
    blobs: tuple[UUID, ...]
    told: Mapping[str, Any]
    older: tuple[UUID, ...] = ()


@dataclass(frozen=True, slots=True)
class StoreDone:
    """A key store that has destroyed its keys; `epoch`: of the newest key-encryption key that they were under."""

    store: str
    at: datetime
    epoch: int


async def begin(db: Connection, id_: UUID, caller: str, owner: str, images: int, *, granted: bool) -> None:
    """Raises Conflict when there is one of that id."""
    try:
        await db.execute(
            "insert into shreds (id, caller, owner, images, granted) values ($1, $2, $3, $4, $5)",
            *(id_, caller, owner, images, granted),
        )
    except asyncpg.UniqueViolationError:
        raise Conflict("there is a shred of that id", remedy="see `mdm shreds list`") from None


async def add_images(db: Connection, shred: UUID, images: Sequence[ShreddedImage]) -> None:
    await db.executemany(
        "insert into shredded_images (image, shred, registration, blobs, told, older)"
        " values ($1, $2, $3, $4, $5, $6)",
        [(one.image, shred, one.registration, list(one.blobs), one.told, list(one.older)) for one in images],
    )


_COLUMNS = "id, at, caller, owner, granted, destroyed, final, images, clock_timestamp() as now"


async def get(db: Connection, id_: UUID) -> Shred | None:
    row = await db.fetchrow(f"select {_COLUMNS} from shreds where id = $1", id_)
    return Shred(*row.values()) if row is not None else None


async def newest(db: Connection, owner: str | None) -> list[Shred]:
    """Some, the newest first: a caller's own, or everybody's (None)."""
    whose = "where owner = $2" if owner is not None else ""
    rows = await db.fetch(
        f"select {_COLUMNS} from shreds {whose} order by at desc limit $1",
        *((SHOWN,) if owner is None else (SHOWN, owner)),
    )
    return [Shred(*row.values()) for row in rows]


async def images_of(db: Connection, id_: UUID, after: UUID, count: int) -> list[ShreddedImage]:
    """Some, in the order of their ids, after one."""
    rows = await db.fetch(
        "select image, registration, blobs, told, older from shredded_images where shred = $1 and image > $2"
        " order by image limit $3",
        *(id_, after, count),
    )
    return [
        ShreddedImage(
            row["image"], row["registration"], tuple(row["blobs"]), row["told"], tuple(row["older"])
        )
        for row in rows
    ]


async def remaining(db: Connection, images: Collection[UUID], blobs: Collection[UUID]) -> tuple[int, int]:
    """How many of these images' and blobs' rows are still there."""
    row = await db.fetchrow(
        "select (select count(*) from images where id = any($1::uuid[])) as images,"
        " (select count(*) from blobs where id = any($2::uuid[])) as blobs",
        list(images),
        list(blobs),
    )
    assert row is not None
    return row["images"], row["blobs"]


async def store_done(db: Connection, id_: UUID, epochs: Mapping[str, int]) -> None:
    """These stores have destroyed the keys; a repetition changes nothing."""
    await db.execute(
        "insert into shred_stores (shred, store, epoch)"
        " select $1, store, epoch from unnest($2::text[], $3::int[]) as s (store, epoch) on conflict do nothing",
        *(id_, list(epochs), list(epochs.values())),
    )


async def stores_done(db: Connection, id_: UUID) -> list[StoreDone]:
    rows = await db.fetch("select store, at, epoch from shred_stores where shred = $1 order by store", id_)
    return [StoreDone(*row.values()) for row in rows]


async def set_destroyed(db: Connection, id_: UUID) -> bool:
    """False when that was known."""
    return bool(
        await db.fetchval(
            "update shreds set destroyed = clock_timestamp() where id = $1 and destroyed is null returning true",
            id_,
        )
    )


async def set_final(db: Connection, id_: UUID) -> bool:
    """False when that was known."""
    return bool(
        await db.fetchval(
            "update shreds set final = clock_timestamp() where id = $1 and final is null returning true", id_
        )
    )
