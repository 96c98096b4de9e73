"""Images: what each is registered under, who holds it, and how it is destroyed."""

from collections.abc import Iterable, Sequence
from uuid import UUID

from mdm_async.catalog.holdings import made_views, opaque, stored_parts
from mdm_async.catalog.holdings.stored_parts import Part
from mdm_async.catalog.holdings.stored_views import StoredView
from mdm_async.errors import Gone
from mdm_async.postgres.database import Connection


async def fill(db: Connection, image: UUID, parts: Sequence[Part], views: Sequence[StoredView]) -> bool:
    """Give an image that was registered without bytes all that belongs to it; False when it has them, or has gone."""
    filled = await db.fetchval(
        "update images set locality = case when source is null then 'ONLINE' else 'ONLINE_AND_NEARLINE' end"
        " where id = $1 and doomed is null and locality not in ('ONLINE', 'ONLINE_AND_NEARLINE') returning true",
        image,
    )
    if not filled:
        return False
    # Of one that was evicted: they spoke of parts that have gone.
    await db.execute("delete from views where image = $1", image)
    await stored_parts.insert(db, parts)
    for view in views:
        await made_views.insert(db, view)
    await db.execute(
        "with came as (select coalesce(sum(cipher_size), 0)::bigint as bytes from parts where image = $1),"
        " source as (update sources s set bytes = came.bytes from came, images i"
        "  where i.id = $1 and s.id = i.source returning came.bytes)"
        " insert into staged_images (image, bytes) select $1, bytes from source"
        " on conflict (image) do update set bytes = excluded.bytes, used = now(), coming_until = null",
        image,
    )
    return True


async def registration(db: Connection, image: UUID) -> UUID:
    """What the image's secrets are registered under. Raises Gone."""
    found: UUID | None = await db.fetchval("select registration from images where id = $1", image)
    if found is None:
        raise Gone("the image has just been deleted")
    return found


async def registrations(db: Connection, images: Sequence[UUID]) -> dict[UUID, UUID]:
    """As `registration`, of many; images that are gone are left out."""
    rows = await db.fetch("select id, registration from images where id = any($1::uuid[])", images)
    return {row["id"]: row["registration"] for row in rows}


async def lock(db: Connection, image: UUID) -> None:
    """Let nobody else add or drop views of this image until the transaction ends. Raises Gone."""
    if not await db.fetchval("select true from images where id = $1 and doomed is null for update", image):
        raise Gone("the image has just been deleted")


async def keep(db: Connection, images: Iterable[UUID]) -> set[UUID]:
    """Let nobody doom these images until the transaction ends; those that are not doomed already."""
    rows = await db.fetch(
        "select id from images where id = any($1::uuid[]) and doomed is null order by id for share",
        list(images),
    )
    return {row["id"] for row in rows}


async def use(db: Connection, images: Iterable[UUID], seconds: float) -> None:
    """Hold images that are being read: nothing destroys them for so long. It is their last use."""
    await db.execute(
        # In the order in which all lock images, so that nobody waits for each other.
        "update images set in_use_until = now() + make_interval(secs => $2), last_used = now() where id in ("
        "  select id from images where id = any($1::uuid[]) order by id for no key update)",
        list(images),
        seconds,
    )


async def hold(db: Connection, images: Iterable[UUID], seconds: float) -> None:
    """As `use`, of images that are about to be read, unless they are held for half as long anyway."""
    await db.execute(
        "update images set in_use_until = now() + make_interval(secs => $2) where id in ("
        "  select id from images where id = any($1::uuid[])"
        "  and in_use_until < now() + make_interval(secs => $2 / 2) order by id for no key update)",
        list(images),
        seconds,
    )


async def note_use(db: Connection, images: Iterable[UUID]) -> None:
    """That images have just been used, to the hour: a row is not written for every read."""
    await db.execute(
        # Nobody waits for it, nor it for anybody: it comes again.
        "update images set last_used = now() where id in ("
        "  select id from images where id = any($1::uuid[]) and last_used < now() - interval '1 hour'"
        "  for no key update skip locked)",
        list(images),
    )


async def here(db: Connection, after: UUID, count: int) -> list[UUID]:
    """Some of the images whose bytes are here, behind this one."""
    rows = await db.fetch(
        "select id from images where id > $1 and doomed is null and locality in ('ONLINE', 'ONLINE_AND_NEARLINE')"
        " order by id limit $2",
        after,
        count,
    )
    return [row["id"] for row in rows]


async def doom_unreferenced(db: Connection, images: Iterable[UUID]) -> None:
    """Mark images for destruction that no entry points to any more, nor a cohort pins."""
    ids = list(images)
    # Who gives one of them another entry is waited for, and seen then by a statement of its own.
    await db.execute("select from images where id = any($1::uuid[]) order by id for no key update", ids)
    await db.execute(
        "update images set doomed = now() where id = any($1::uuid[]) and doomed is null"
        " and not exists (select from entries e where e.image = images.id offset 0)"
        " and not exists (select from cohort_members m where m.image = images.id offset 0)",
        ids,
    )


# So written it is no way to find them: looked for by that, each page would walk past all that wait to be destroyed.
_DOOMED = "coalesce(doomed, 'infinity') < 'infinity'"
_DESTROYED = f"id = any($1::uuid[]) and {_DOOMED} and (in_use_until < now() or shredded)"


async def keep_named(db: Connection, images: Sequence[UUID]) -> set[UUID]:
    """Keep those doomed images that entries point to, and that were not shredded. None is doomed before its last entry
    has gone, so somebody else has written to the catalog."""
    rows = await db.fetch(
        "update images i set doomed = null, taken_by = null, failure = null where id = any($1::uuid[])"
        " and doomed is not null and not shredded and exists (select from entries e where e.image = i.id offset 0)"
        " returning id",
        list(images),
    )
    return {row["id"] for row in rows}


async def to_destroy(db: Connection, images: Sequence[UUID]) -> list[UUID]:
    """The registrations of those among these images that are doomed, and are not being read now or were shredded."""
    rows = await db.fetch(f"select registration from images where {_DESTROYED}", images)
    return [row["registration"] for row in rows]


async def destroy_doomed(db: Connection, images: Sequence[UUID]) -> list[UUID]:
    """Drop rows of doomed images, but for those that are read now and were not shredded; their blobs become doomed.

    Returns the registrations. The caller forgets them, or writes them down to be forgotten, in the same transaction.
    """
    rows = await db.fetch(
        f"with doomed as materialized (select id from images where {_DESTROYED} order by id for update),"
        " of_parts as (delete from parts where image = any(array(select id from doomed)) returning blob),"
        " of_blobs as ("
        "  update blobs set state = 'doomed', doomed = now() where id = any(array(select blob from of_parts))),"
        " of_views as (delete from views where image = any(array(select id from doomed))),"
        " of_values as (delete from blind_values where image = any(array(select id from doomed))),"
        " of_staged as (delete from staged_images where image = any(array(select id from doomed))),"
        # Nobody reads by older keys any more either.
        " of_older as (update superseded_keys set due = now() where image = any(array(select id from doomed))),"
        " gone as (delete from images where id = any(array(select id from doomed))"
        "  returning registration, source, opaque_bytes, brought_by),"
        " of_sources as (delete from sources where id = any(array(select source from gone)))"
        " select registration, opaque_bytes, split_part(brought_by, chr(10), 1) as account from gone",
        images,
    )
    await opaque.pay_back(
        db, [(row["account"], row["opaque_bytes"]) for row in rows if row["opaque_bytes"] is not None]
    )
    return [row["registration"] for row in rows]
