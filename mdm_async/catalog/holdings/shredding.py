"""Images that are shredded: what there is of them, and their end, whoever reads or holds them."""

from collections.abc import Collection
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

from mdm_async.postgres.database import Connection


@dataclass(frozen=True, slots=True)
class Whole:
    """All that is stored of an image. `views` are (name, version, state); `size` bytes of ciphertext in all.

    `older`: registrations of keys that it had before and that some key store may still have; of those that may be
    read by, `blobs` has what they open.
    """

    image: UUID
    registration: UUID
    created: datetime
    views: tuple[tuple[str, str, str], ...]
    parts: int
    blobs: tuple[UUID, ...] = field(repr=False)
    size: int
    older: tuple[UUID, ...]


async def wholes(db: Connection, images: Collection[UUID]) -> list[Whole]:
    """Of those that are there and not doomed, in the order of their ids."""
    return [_whole(row) for row in await db.fetch(_WHOLES, list(images))]


async def lock(db: Connection, images: Collection[UUID]) -> None:
    """Let nobody give one of them an entry, a view or a part until the transaction ends."""
    await db.execute("select from images where id = any($1::uuid[]) order by id for update", list(images))


_WHOLES = """
select i.id, i.registration, i.created,
    array(select array[name, version, state] from views v where v.image = i.id order by name, version) as views,
    p.parts, p.size,
    p.blobs || array(select unnest(s.blobs) from superseded_keys s where s.image = i.id) as blobs,
    array(
        select s.registration from superseded_keys s where s.image = i.id
        union select f.registration from keys_to_forget f where f.image = i.id
    ) as older
from images i cross join lateral (
    select count(*) as parts, coalesce(sum(cipher_size), 0)::bigint as size,
        coalesce(array_agg(blob order by blob) filter (where blob is not null), '{}') as blobs
    from parts where image = i.id
) p where i.id = any($1::uuid[]) and i.doomed is null order by i.id
"""


def _whole(row: Any) -> Whole:
    views = tuple((name, version, state) for name, version, state in row["views"])
    return Whole(
        row["id"],
        row["registration"],
        row["created"],
        views,
        row["parts"],
        tuple(row["blobs"]),
        row["size"],
        tuple(row["older"]),
    )


async def pins(db: Connection, images: Collection[UUID]) -> list[tuple[UUID, UUID]]:
    """(GUID of the entry that it was, image) of each of these images' members of cohorts."""
    rows = await db.fetch(
        "select guid, image from cohort_members where image = any($1::uuid[])", list(images)
    )
    return [(row["guid"], row["image"]) for row in rows]


async def doom(db: Connection, images: Collection[UUID]) -> None:
    """Mark images, which no entry points to any more, to be destroyed at once."""
    await db.execute(
        "update images set doomed = now(), shredded = true where id = any($1::uuid[])", list(images)
    )
    # What they were called when they were removed, which cohorts had kept.
    await db.execute(
        "delete from entries_gone where entry = any(array("
        "  select entry from cohort_members where image = any($1::uuid[])))",
        list(images),
    )


async def lose(db: Connection, images: Collection[UUID]) -> None:
    """Drop all that is stored of them; the images, and what leads to them, stay."""
    await db.execute(
        "with of_parts as (delete from parts where image = any($1::uuid[]) returning blob),"
        " of_blobs as ("
        "  update blobs set state = 'doomed', doomed = now() where id = any(array(select blob from of_parts))),"
        " of_views as (delete from views where image = any($1::uuid[])),"
        " of_originals as (delete from original_attributes where image = any($1::uuid[])),"
        " of_values as (delete from blind_values where image = any($1::uuid[])),"
        " of_staged as (delete from staged_images where image = any($1::uuid[]))"
        " update images set locality = 'LOST' where id = any($1::uuid[])",
        list(images),
    )
