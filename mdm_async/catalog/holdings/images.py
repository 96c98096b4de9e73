"""Images: their parts, where these lie, and the views that they make up."""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from uuid import UUID

import asyncpg

from mdm_async.catalog.holdings import opaque
from mdm_async.catalog.holdings.locality import Locality
from mdm_async.errors import Gone
from mdm_async.postgres.database import Connection
from mdm_async.postgres.inverted import bitmap_scans


@dataclass(frozen=True, slots=True)
class Part:
    """A stored run of ciphertext: inline, or a blob. Plain sizes stand in the views' records."""

    id: UUID
    image: UUID
    kind: str
    variant: str
    secret: str
    format: int
    salt: bytes
    cipher_size: int
    cipher_adler: int
    inline: bytes | None
    blob: UUID | None


@dataclass(frozen=True, slots=True)
class StoredView:
    """A view as it was made once: ready with its encrypted record, or refused with the reason."""

    image: UUID
    name: str
    version: str
    secret: str
    record: bytes | None
    reason: str | None
    quarantined: bool = False
    """Refused until somebody has looked at it and released it."""
    parts: tuple[UUID, ...] = ()
    """What it needs: parts of its own, and the pixels that it shares."""
    pseudonyms: tuple[bytes, ...] = ()
    """Keyed digests of the pseudonyms in it."""
    report: bytes | None = None
    """Encrypted: what scrubbing did."""

    @property
    def state(self) -> str:
        if self.record is not None:
            return "ready"
        return "quarantined" if self.quarantined else "refused"


@dataclass(frozen=True, slots=True)
class Holding:
    """An image's registration, where its bytes are, and the view of it that was asked for, if made."""

    registration: UUID
    locality: Locality
    view: StoredView | None


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
    await _insert_parts(db, parts)
    for view in views:
        await _insert_view(db, view)
    await db.execute(
        "with came as (select coalesce(sum(cipher_size), 0)::bigint as bytes from parts where image = $1),"
        " source as (update sources s set bytes = came.bytes from came, images i"
        "  where i.id = $1 and s.id = i.source returning came.bytes)"
        " insert into staged_images (image, bytes) select $1, bytes from source"
        " on conflict (image) do update set bytes = excluded.bytes, used = now(), coming_until = null",
        image,
    )
    return True


async def _count_staged(db: Connection, image: UUID) -> None:
    """What it takes of the cache has changed, if it is there."""
    await db.execute(
        "update staged_images set bytes ="
        " (select coalesce(sum(cipher_size), 0)::bigint from parts where image = $1)"
        " where image = $1 and coming_until is null",
        image,
    )


async def _insert_parts(db: Connection, parts: Sequence[Part]) -> None:
    await db.executemany(
        "insert into parts (id, image, kind, variant, secret, format, salt, cipher_size, cipher_adler, inline, blob)"
        " values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)",
        [
            (
                p.id,
                p.image,
                p.kind,
                p.variant,
                p.secret,
                p.format,
                p.salt,
                p.cipher_size,
                p.cipher_adler,
                p.inline,
                p.blob,
            )
            for p in parts
        ],
    )


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


async def bringers(db: Connection, images: Iterable[UUID]) -> dict[UUID, str]:
    """The account that brought each of these, where that is known."""
    rows = await db.fetch(
        "select id, split_part(brought_by, chr(10), 1) as account from images"
        " where id = any($1::uuid[]) and brought_by is not null",
        list(images),
    )
    return {row["id"]: row["account"] for row in rows}


_LATELY = "brought_by = any({0}::text[]) and created > now() - make_interval(secs => {1})"


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


async def add_view(db: Connection, parts: Sequence[Part], view: StoredView) -> bool:
    """Add a view and the parts made for it to an image; False when another node made it first."""
    won = await _insert_view(db, view)
    if won:
        await _insert_parts(db, parts)
        await _count_staged(db, view.image)
    return won


async def renew_record(
    db: Connection, image: UUID, registration: UUID, view: str, version: str, record: bytes
) -> None:
    """Let a ready view's record say more of the same bytes, unless the image has other keys than these by now."""
    await db.execute(
        # Whoever changes the keys locks the image first.
        "with same as materialized (select id from images where id = $1 and registration = $5 for key share)"
        " update views set record = $4 where image in (select id from same)"
        " and name = $2 and version = $3 and state = 'ready'",
        image,
        view,
        version,
        record,
        registration,
    )


async def add_parts(
    db: Connection,
    image: UUID,
    parts: Sequence[Part],
    renewed: Sequence[tuple[StoredView, bytes, Sequence[UUID]]],
) -> bool:
    """Add parts that tell of others, in a transaction; each of these views gets a record of the same bytes, and the ids
    of the parts that it needs. False, and to be rolled back, when one has another record by now."""
    await _insert_parts(db, parts)
    for view, record, needed in renewed:
        status = await db.execute(
            "update views set record = $5, parts = $6"
            " where image = $1 and name = $2 and version = $3 and state = 'ready' and record = $4",
            *(image, view.name, view.version, view.record, record, list(needed)),
        )
        if status != "UPDATE 1":
            return False
    await _count_staged(db, image)
    return True


async def _insert_view(db: Connection, view: StoredView) -> bool:
    won = await db.fetchval(
        "insert into views (image, name, version, state, reason, secret, record, parts, pseudonyms, report)"
        " select $1, $2, $3, $4, $5, $6, $7, $8, $9, $10 from images where id = $1 and doomed is null"
        " on conflict do nothing returning true",
        *(view.image, view.name, view.version, view.state, view.reason, view.secret, view.record),
        *(list(view.parts), list(view.pseudonyms), view.report),
    )
    return bool(won)


PINNED = (
    "exists (select from cohort_members m"
    " where m.image = v.image and m.view = v.name and m.version = v.version offset 0)"
)
"""Of a version `v` of a view: a cohort gives it."""


async def drop_superseded(db: Connection, image: UUID, view: str, version: str, floor: int) -> None:
    """Destroy the older versions of a view that was made, and the parts that no view needs any more.

    Not while the image is being read; then they stay, unserved, until it is made again or destroyed. Nor those that a
    cohort pins, if a revision of at least `floor` made them: others are given to nobody.
    """
    status = await db.execute(
        "delete from views v where image = $1 and name = $2 and version <> $3"
        " and split_part(version, '.', 2)::int <= split_part($3, '.', 2)::int"
        f" and (split_part(version, '.', 2)::int < $4 or not {PINNED})"
        " and exists (select from images i where i.id = $1 and i.in_use_until < now())",
        image,
        view,
        version,
        floor,
    )
    if status == "DELETE 0":
        return
    await db.execute(
        "with gone as ("
        "  delete from parts p where image = $1 and secret = 'image'"
        "  and not exists (select from views v where v.image = $1 and p.id = any(v.parts))"
        "  and not exists (select from views v where v.image = $1 and v.state = 'ready' and v.parts = '{}')"
        "  returning blob"
        ") update blobs set state = 'doomed', doomed = now() where id in (select blob from gone)",
        image,
    )
    await _count_staged(db, image)


async def holdings(
    db: Connection, wanted: Sequence[tuple[UUID, str]], versions: Sequence[str]
) -> dict[tuple[UUID, str], Holding]:
    """For each (image, view name): what is there, in the first of these versions. Images that are gone are left out.

    No version belongs to two views.
    """
    rows = await db.fetch(
        "select w.image, w.name, v.version, i.registration, i.locality, v.state, v.secret, v.record, v.reason, v.parts"
        " from unnest($1::uuid[], $2::text[]) as w (image, name)"
        " join images i on i.id = w.image and i.doomed is null"
        " left join views v on v.image = w.image and v.name = w.name and v.version = any($3::text[])",
        [image for image, _ in wanted],
        [name for _, name in wanted],
        list(versions),
    )
    found: dict[tuple[UUID, str], Holding] = {}
    for row in sorted(rows, key=lambda row: versions.index(row["version"]) if row["version"] else 0):
        holding = Holding(row["registration"], Locality(row["locality"]), _view(row))
        found.setdefault((row["image"], row["name"]), holding)
    return found


async def pinned(db: Connection, wanted: Sequence[tuple[UUID, str, str]]) -> dict[tuple[UUID, str], Holding]:
    """As `holdings`, of one version of each image's view, whether or not it is in force."""
    rows = await db.fetch(
        "select w.image, w.name, v.version, i.registration, i.locality, v.state, v.secret, v.record, v.reason, v.parts"
        " from unnest($1::uuid[], $2::text[], $3::text[]) as w (image, name, version)"
        " join images i on i.id = w.image and i.doomed is null"
        " left join views v on v.image = w.image and v.name = w.name and v.version = w.version",
        [image for image, _, _ in wanted],
        [name for _, name, _ in wanted],
        [version for _, _, version in wanted],
    )
    return {
        (row["image"], row["name"]): Holding(row["registration"], Locality(row["locality"]), _view(row))
        for row in rows
    }


async def views_of(db: Connection, image: UUID) -> list[StoredView]:
    """Every view of an image that is ready, old versions too."""
    rows = await db.fetch(
        "select image, name, version, state, secret, record, reason from views where image = $1 and state = 'ready'",
        image,
    )
    return [view for row in rows if (view := _view(row)) is not None]


async def reports(db: Connection, wanted: Sequence[tuple[UUID, str, str]]) -> dict[UUID, bytes]:
    """The sealed reports of these images' (image, view name, version)."""
    rows = await db.fetch(
        "select v.image, v.report from unnest($1::uuid[], $2::text[], $3::text[]) as w (image, name, version)"
        " join views v using (image, name, version) where v.report is not null",
        [image for image, _, _ in wanted],
        [name for _, name, _ in wanted],
        [version for _, _, version in wanted],
    )
    return {row["image"]: row["report"] for row in rows}


async def with_pseudonym(
    db: Connection, digest: bytes, versions: Sequence[str], after: UUID, count: int
) -> list[tuple[UUID, str, str]]:
    """(image, view name, version) of views that hold a pseudonym, by its keyed digest: some, in the images' order."""
    async with bitmap_scans(db):
        rows = await db.fetch(
            "with held as materialized ("
            "  select image, name, version from views where pseudonyms @> array[$1::bytea]"
            ") select * from held where version = any($2::text[]) and image > $3 order by image limit $4",
            digest,
            list(versions),
            after,
            count,
        )
    return [(row["image"], row["name"], row["version"]) for row in rows]


def _view(row: asyncpg.Record) -> StoredView | None:
    if row["state"] is None:
        return None
    return StoredView(
        row["image"],
        row["name"],
        row["version"],
        row["secret"],
        row["record"],
        row["reason"],
        quarantined=row["state"] == "quarantined",
        parts=tuple(row.get("parts") or ()),
    )


_PART = "p.id, p.image, kind, variant, secret, format, salt, cipher_size, cipher_adler, inline, blob"


async def parts(db: Connection, ids: Iterable[UUID]) -> dict[UUID, Part]:
    rows = await db.fetch(f"select {_PART} from parts p where id = any($1::uuid[])", list(ids))
    return {row["id"]: Part(*row.values()) for row in rows}


async def parts_of_views(
    db: Connection, holdings: Iterable[Holding]
) -> tuple[dict[UUID, Part], dict[UUID, UUID]]:
    """All parts of views as they were found; of those that were made before they said which, all of their images.

    And by image the registration of the keys that they are under now: others than were found, if they have just been
    changed.
    """
    views = [held.view for held in holdings if held.view is not None and held.view.record is not None]
    untold = [view.image for view in views if not view.parts]
    ids = {part for view in views for part in view.parts}
    if untold:
        rows = await db.fetch("select id from parts where image = any($1::uuid[])", untold)
        ids |= {row["id"] for row in rows}
    if not ids:
        return {}, {}
    rows = await db.fetch(
        f"select {_PART}, i.registration from parts p join images i on i.id = p.image where p.id = any($1::uuid[])",
        list(ids),
    )
    registrations = {row["image"]: row["registration"] for row in rows}
    return {row["id"]: Part(*tuple(row.values())[:-1]) for row in rows}, registrations


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


# So written it is no way to find them: looked for by that, each page would walk past all that wait to be destroyed.
_DOOMED = "coalesce(doomed, 'infinity') < 'infinity'"
_DESTROYED = f"id = any($1::uuid[]) and {_DOOMED} and (in_use_until < now() or shredded)"


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


ViewKey = tuple[UUID, str, str]
"""A view's image, name and version: the order in which all are looked through."""
FIRST_VIEW: ViewKey = (UUID(int=0), "", "")


async def here(db: Connection, after: UUID, count: int) -> list[UUID]:
    """Some of the images whose bytes are here, behind this one."""
    rows = await db.fetch(
        "select id from images where id > $1 and doomed is null and locality in ('ONLINE', 'ONLINE_AND_NEARLINE')"
        " order by id limit $2",
        after,
        count,
    )
    return [row["id"] for row in rows]


async def lost_parts(
    db: Connection, after: ViewKey, count: int
) -> tuple[list[tuple[UUID, ViewKey]], ViewKey | None]:
    """Of the next so many views, parts that they need and that are not there, each with its view; and after which view
    to go on, None when these were the last. For fsck.
    """
    rows = await db.fetch(
        "select image, name, version, array(select part from unnest(v.parts) part"
        "  where not exists (select from parts p where p.id = part offset 0)"
        "  and exists (select from images i where i.id = v.image"
        "   and i.locality in ('ONLINE', 'ONLINE_AND_NEARLINE') offset 0)) as lost"
        " from (select image, name, version, parts from views where (image, name, version) > ($1, $2, $3)"
        "  order by image, name, version limit $4) v",
        *after,
        count,
    )
    lost = {(part, (row["image"], row["name"], row["version"])) for row in rows for part in row["lost"]}
    last = rows[-1] if len(rows) == count else None
    return sorted(lost), (last["image"], last["name"], last["version"]) if last is not None else None


async def drop_view(db: Connection, view: ViewKey) -> None:
    """Forget one version of a view, so that it is made again if it is in force."""
    await db.execute("delete from views where image = $1 and name = $2 and version = $3", *view)
