"""What originals say of themselves: sealed, and beside it keyed digests, by which they are found for one value each.

Who owns this database sees which originals have equal values of an attribute, and never which values.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from uuid import UUID

from mdm_async.postgres.database import Connection


@dataclass(frozen=True, slots=True, repr=False)
class SealedOriginal:
    """What an image's original says, under its identity secret; and by what it is found: tag, digest."""

    image: UUID
    sealed: bytes
    digests: Collection[tuple[int, bytes]]


async def put(db: Connection, original: SealedOriginal) -> None:
    """In a transaction that makes the image's row, or has locked it; in place of what was said before."""
    await db.execute(
        "with given as (select * from unnest($3::int[], $4::bytea[]) as g (tag, blind)), gone as ("
        "  delete from blind_values b where image = $1"
        "  and not exists (select from given g where g.tag = b.tag and g.blind = b.blind)"
        "), kept as ("
        "  insert into blind_values (image, tag, blind) select $1, tag, blind from given on conflict do nothing)"
        " insert into original_attributes (image, sealed) values ($1, $2)"
        " on conflict (image) do update set sealed = excluded.sealed",
        original.image,
        original.sealed,
        [tag for tag, _ in original.digests],
        [digest for _, digest in original.digests],
    )


async def sealed_of(db: Connection, images: Collection[UUID]) -> dict[UUID, bytes]:
    """What originals say, sealed; those of which nothing is kept are left out."""
    rows = await db.fetch(
        "select image, sealed from original_attributes where image = any($1::uuid[])", list(images)
    )
    return {row["image"]: row["sealed"] for row in rows}


async def with_value(db: Connection, tag: int, digest: bytes, after: UUID, count: int) -> list[UUID]:
    """Some images whose originals have this value of an attribute, in their order after that one."""
    rows = await db.fetch(
        "select image from blind_values where tag = $1 and blind = $2 and image > $3 order by image limit $4",
        tag,
        digest,
        after,
        count,
    )
    return [row["image"] for row in rows]


async def with_values(
    db: Connection, tag: int, after: Mapping[bytes, UUID], each: int
) -> dict[bytes, list[UUID]]:
    """As `with_value`, of several digests, of each after its own image; so many `each`."""
    rows = await db.fetch(
        "select o.blind, b.image from unnest($2::bytea[], $3::uuid[]) as o (blind, after) cross join lateral ("
        "  select image from blind_values where tag = $1 and blind = o.blind and image > o.after"
        "  order by image limit $4) b order by b.image",
        tag,
        list(after),
        list(after.values()),
        each,
    )
    found: dict[bytes, list[UUID]] = {digest: [] for digest in after}
    for row in rows:
        found[row["blind"]].append(row["image"])
    return found


async def having(db: Connection, images: Collection[UUID], tag: int, digest: bytes | None) -> set[UUID]:
    """Those of these images whose originals have this value of an attribute; None: those that have none."""
    there = "select from blind_values b where b.image = i.image and b.tag = $2"
    rows = await db.fetch(
        "select image from unnest($1::uuid[]) as i (image) where case when $3::bytea is null"
        f" then not exists ({there}) else exists ({there} and b.blind = $3) end",
        list(images),
        tag,
        digest,
    )
    return {row["image"] for row in rows}


async def lock(db: Connection, tag: int, digest: bytes) -> None:
    """Let nobody else who locks this value of an attribute go on until the transaction ends."""
    name = f"mdm blind value {tag} {digest.hex()}"
    await db.execute("select pg_advisory_xact_lock(hashtextextended($1, 0))", name)


async def of_stored(
    db: Connection, images: Collection[UUID], tags: Collection[int]
) -> dict[UUID, set[bytes]]:
    """The digests of some attributes, of those images whose bytes are here for good."""
    rows = await db.fetch(
        "select i.id as image,"
        "  array(select blind from blind_values where image = i.id and tag = any($2::int[])) as digests"
        " from unnest($1::uuid[]) as w (id)"
        "   cross join lateral (select id from images where id = w.id and doomed is null"
        "     and locality in ('ONLINE', 'ONLINE_AND_NEARLINE') limit 1) i"
        " where not exists (select from staged_images s where s.image = i.id)",
        list(images),
        list(tags),
    )
    return {row["image"]: set(row["digests"]) for row in rows}
