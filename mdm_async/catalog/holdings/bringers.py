"""Who brought an image here, and how lately."""

from collections.abc import Collection, Iterable
from uuid import UUID

from mdm_async.postgres.database import Connection

_LATELY = "brought_by = any({0}::text[]) and created > now() - make_interval(secs => {1})"


async def was_brought_by(db: Connection, image: UUID, owner: str) -> bool:
    """Whether this caller (`Caller.writer`) brought the image here."""
    return bool(
        await db.fetchval(
            "select exists (select from images where id = $1 and brought_by = $2)", image, owner
        )
    )


async def brought_by(db: Connection, images: Iterable[UUID], owner: str) -> set[UUID]:
    """As `was_brought_by`, of many."""
    rows = await db.fetch(
        "select id from images where id = any($1::uuid[]) and brought_by = $2", list(images), owner
    )
    return {row["id"] for row in rows}


async def accounts(db: Connection, images: Iterable[UUID]) -> dict[UUID, str]:
    """The account that brought each of these, where that is known."""
    rows = await db.fetch(
        "select id, split_part(brought_by, chr(10), 1) as account from images"
        " where id = any($1::uuid[]) and brought_by is not null",
        list(images),
    )
    return {row["id"]: row["account"] for row in rows}


async def lately_brought(
    db: Connection, images: Iterable[UUID], writers: Collection[str], seconds: float
) -> set[UUID]:
    """Those that this caller (`Caller.writers`) has brought in so many seconds."""
    rows = await db.fetch(
        f"select id from images where id = any($1::uuid[]) and {_LATELY.format('$2', '$3')}",
        list(images),
        list(writers),
        seconds,
    )
    return {row["id"] for row in rows}


async def is_lately_brought(
    db: Connection, entry: int, image: UUID, writers: Collection[str], seconds: float
) -> bool:
    """As `lately_brought`, of an image that this entry points to and is not a research project's alone."""
    return bool(
        await db.fetchval(
            "select exists (select from images i where id = $2"
            f" and {_LATELY.format('$3', '$4')} and exists ("
            "   select from entries e where e.id = $1 and e.image = i.id and e.only_view is null))",
            entry,
            image,
            list(writers),
            seconds,
        )
    )
