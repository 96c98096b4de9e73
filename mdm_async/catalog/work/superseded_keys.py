"""Superseded keys: those that images had before theirs were changed, and the blobs under them, until nobody reads by
them any more.
"""

from collections.abc import Collection, Sequence
from uuid import UUID

from mdm_async.catalog.work.queue import Queue
from mdm_async.postgres.database import Connection

SUPERSEDED_KEYS = Queue("superseded keys", "superseded_keys", ("registration",), ("uuid",))


async def add(
    db: Connection, registration: UUID, image: UUID, blobs: Collection[UUID], seconds: float
) -> None:
    """In the transaction that gives the image other keys; nothing goes for so many seconds."""
    await db.execute(
        "insert into superseded_keys (registration, image, blobs, due)"
        " values ($1, $2, $3, now() + make_interval(secs => $4))",
        *(registration, image, list(blobs), seconds),
    )


async def hold(db: Connection, registrations: Collection[UUID], seconds: float) -> None:
    """Somebody still reads by these: keep them for so long."""
    await db.execute(
        "update superseded_keys set due = greatest(due, now() + make_interval(secs => $2))"
        " where registration = any($1::uuid[]) and taken_by is null",
        *(list(registrations), seconds),
    )


async def of_images(db: Connection, images: Collection[UUID]) -> set[UUID]:
    """Those of these images that have some."""
    rows = await db.fetch("select image from superseded_keys where image = any($1::uuid[])", list(images))
    return {row["image"] for row in rows}


_GONE = (
    "with gone as (delete from superseded_keys where {} = any($1::uuid[])"
    "  returning registration, image, blobs),"
    " doomed as (update blobs set state = 'doomed', doomed = now()"
    "  where id = any(array(select unnest(blobs) from gone)) and state = 'stored')"
    " select registration, image from gone"
)


async def end(db: Connection, registrations: Sequence[UUID]) -> dict[UUID, UUID]:
    """Doom what lies under these, and have no more of them. The caller writes down those that come back, with their
    images, to be forgotten, in the same transaction."""
    rows = await db.fetch(_GONE.format("registration"), list(registrations))
    return {row["registration"]: row["image"] for row in rows}


async def end_of_images(db: Connection, images: Collection[UUID]) -> dict[UUID, UUID]:
    """As `end`, of images whose readers are cut."""
    rows = await db.fetch(_GONE.format("image"), list(images))
    return {row["registration"]: row["image"] for row in rows}
