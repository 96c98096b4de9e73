"""The cache: images whose bytes were brought from archives, and what they and those that are coming take of it.

Whoever locks several locks the image first, then its row here, then the sums, which every change of a row moves.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from uuid import UUID

from mdm_async.postgres.database import Connection

LEASE = 300.0
"""Seconds that bytes which are coming keep their room without a sign of life."""
_LAPSED = 1000


@dataclass(frozen=True, slots=True)
class Totals:
    """Bytes of ciphertext that are here and that have room set aside; how many images are here."""

    here: int
    coming: int
    images: int


async def totals(db: Connection) -> Totals:
    row = await db.fetchrow("select here, coming, images from cache")
    assert row is not None
    return Totals(*row.values())


async def set_aside(db: Connection, image: UUID, size: int) -> None:
    """Room for an image that is coming, in place of what was set aside for it before."""
    await db.execute(
        "insert into staged_images (image, bytes, coming_until) values ($1, $2, now() + make_interval(secs => $3))"
        " on conflict (image) do update set bytes = excluded.bytes, coming_until = excluded.coming_until"
        " where staged_images.coming_until is not null",
        image,
        size,
        LEASE,
    )


async def give_up(db: Connection, image: UUID) -> None:
    """It does not come after all."""
    await db.execute("delete from staged_images where image = $1 and coming_until is not null", image)


async def give_up_lapsed(db: Connection) -> None:
    """Those that were coming to a node that is no more."""
    await db.execute(
        "delete from staged_images where coming_until is not null and image in (select image from staged_images"
        "  where coming_until < now() order by coming_until limit $1 for update skip locked)",
        _LAPSED,
    )


async def expected(db: Connection, image: UUID) -> int | None:
    """Bytes that an image took when it was last here, or was found to need; None when nobody knows."""
    size: int | None = await db.fetchval(
        "select s.bytes from images i join sources s on s.id = i.source where i.id = $1", image
    )
    return size


async def expect(db: Connection, image: UUID, size: int) -> None:
    await db.execute(
        "update sources s set bytes = $2 from images i where i.id = $1 and s.id = i.source", image, size
    )


async def recount(db: Connection, image: UUID) -> None:
    """What it takes of the cache has changed, if it is there."""
    await db.execute(
        "update staged_images set bytes ="
        " (select coalesce(sum(cipher_size), 0)::bigint from parts where image = $1)"
        " where image = $1 and coming_until is null",
        image,
    )


async def hold(db: Connection, parts: Mapping[UUID, UUID]) -> set[UUID]:
    """Let nobody evict these images until the transaction ends, so that pins of them are seen after it.

    By image, a part that was found of it. Those whose parts have gone are returned: they were evicted meanwhile.
    """
    await db.execute(
        "select from staged_images where image = any($1::uuid[]) order by image for key share", list(parts)
    )
    # A statement of its own: it sees what was committed before the locks were had.
    return await gone(db, parts)


async def gone(db: Connection, parts: Mapping[UUID, UUID]) -> set[UUID]:
    """The images whose part is there no more."""
    rows = await db.fetch("select id from parts where id = any($1::uuid[])", list(parts.values()))
    there = {row["id"] for row in rows}
    return {image for image, part in parts.items() if part not in there}


async def note_use(db: Connection, images: Collection[UUID], seconds: float) -> None:
    """That images have just been used, unless that was noted so many seconds ago. Nobody waits for it."""
    await db.execute(
        "update staged_images set used = now() where image in (select image from staged_images"
        "  where image = any($1::uuid[]) and coming_until is null and used < now() - make_interval(secs => $2)"
        "  for no key update skip locked)",
        list(images),
        seconds,
    )


async def evict(db: Connection, image: UUID) -> int:
    """Drop an image's bytes, once it and its row here are locked; how many. Its views' records stay, for what they say
    of it, and go when it comes again.
    """
    size: int = await db.fetchval("delete from staged_images where image = $1 returning bytes", image)
    await db.execute(
        "with of_parts as (delete from parts where image = $1 returning blob)"
        " update blobs set state = 'doomed', doomed = now() where id in (select blob from of_parts)",
        image,
    )
    await db.execute("update images set locality = 'NEARLINE' where id = $1", image)
    # Whatever node has it opened looks at it anew.
    await db.execute("insert into changes (images) values (array[$1::uuid])", image)
    return size
