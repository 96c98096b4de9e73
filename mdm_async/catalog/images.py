"""Images: their parts, where these lie, and the views that they make up."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from uuid import UUID

import asyncpg

from mdm_async.catalog.database import Connection
from mdm_async.errors import Gone


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

    @property
    def state(self) -> str:
        return "refused" if self.record is None else "ready"


@dataclass(frozen=True, slots=True)
class Holding:
    """An image's registration and the view of it that was asked for, if made."""

    registration: UUID
    view: StoredView | None


async def insert(
    db: Connection, image: UUID, registration: UUID, parts: Sequence[Part], views: Sequence[StoredView]
) -> None:
    """A new image with all that belongs to it; part of the ingest transaction."""
    await db.execute("insert into images (id, registration) values ($1, $2)", image, registration)
    await _insert_parts(db, parts)
    await db.executemany(
        "insert into views (image, name, version, state, reason, secret, record)"
        " values ($1, $2, $3, $4, $5, $6, $7) on conflict do nothing",
        [(v.image, v.name, v.version, v.state, v.reason, v.secret, v.record) for v in views],
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


async def without_view(db: Connection, name: str, version: str, count: int) -> list[UUID]:
    """Images that have neither this version of a view nor its refusal."""
    rows = await db.fetch(
        "select id from images i where doomed is null and not exists ("
        "  select from views v where v.image = i.id and v.name = $1 and v.version = $2"
        ") and exists (select from entries e where e.image = i.id) limit $3",
        name,
        version,
        count,
    )
    return [row["id"] for row in rows]


async def registration(db: Connection, image: UUID) -> UUID:
    """What the image's secrets are registered under. Raises Gone."""
    found: UUID | None = await db.fetchval("select registration from images where id = $1", image)
    if found is None:
        raise Gone("the image has just been deleted")
    return found


async def add_view(db: Connection, parts: Sequence[Part], view: StoredView) -> bool:
    """Add a view and the parts made for it to an image; False when another node made it first."""
    won = await db.fetchval(
        "insert into views (image, name, version, state, reason, secret, record)"
        " select $1, $2, $3, $4, $5, $6, $7 from images where id = $1 and doomed is null"
        " on conflict do nothing returning true",
        *(view.image, view.name, view.version, view.state, view.reason, view.secret, view.record),
    )
    if won:
        await _insert_parts(db, parts)
    return bool(won)


async def holdings(
    db: Connection, wanted: Sequence[tuple[UUID, str, str]]
) -> dict[tuple[UUID, str, str], Holding]:
    """For each (image, view name, version): what is there. Images that are gone are left out."""
    rows = await db.fetch(
        "select w.image, w.name, w.version, i.registration, v.state, v.secret, v.record, v.reason"
        " from unnest($1::uuid[], $2::text[], $3::text[]) as w (image, name, version)"
        " join images i on i.id = w.image and i.doomed is null"
        " left join views v on v.image = w.image and v.name = w.name and v.version = w.version",
        [image for image, _, _ in wanted],
        [name for _, name, _ in wanted],
        [version for _, _, version in wanted],
    )
    return {(r["image"], r["name"], r["version"]): Holding(r["registration"], _view(r)) for r in rows}


def _view(row: asyncpg.Record) -> StoredView | None:
    if row["state"] is None:
        return None
    return StoredView(row["image"], row["name"], row["version"], row["secret"], row["record"], row["reason"])


async def parts(db: Connection, ids: Iterable[UUID]) -> dict[UUID, Part]:
    rows = await db.fetch(
        "select id, image, kind, variant, secret, format, salt, cipher_size, cipher_adler, inline, blob"
        " from parts where id = any($1::uuid[])",
        list(ids),
    )
    return {row["id"]: Part(*row.values()) for row in rows}


async def doom_unreferenced(db: Connection, images: Iterable[UUID]) -> None:
    """Mark images for destruction that no entry points to any more."""
    await db.execute(
        "update images set doomed = now() where id = any($1::uuid[]) and doomed is null"
        " and not exists (select from entries e where e.image = images.id)",
        list(images),
    )


async def use(db: Connection, images: Iterable[UUID], seconds: float) -> None:
    """Hold images that are being read: nothing destroys them for so long."""
    await db.execute(
        "update images set in_use_until = now() + make_interval(secs => $2) where id = any($1::uuid[])",
        list(images),
        seconds,
    )


async def destroy_doomed(db: Connection, count: int) -> list[UUID]:
    """Drop rows of doomed images that nobody reads; their blobs become doomed. Returns the registrations.

    The caller destroys the registrations' secrets in the same transaction.
    """
    rows = await db.fetch(
        "select id, registration from images where doomed is not null and in_use_until < now()"
        " order by doomed limit $1 for update skip locked",
        count,
    )
    ids = [row["id"] for row in rows]
    await db.execute(
        "with gone as (delete from parts where image = any($1::uuid[]) returning blob)"
        " update blobs set state = 'doomed' where id in (select blob from gone)",
        ids,
    )
    await db.execute("delete from images where id = any($1::uuid[])", ids)
    return [row["registration"] for row in rows]


async def blob_owners(db: Connection) -> dict[UUID, tuple[UUID, int]]:
    """Image and ciphertext size of every part that lies in the blob store, for fsck."""
    rows = await db.fetch("select blob, image, cipher_size from parts where blob is not null")
    return {row["blob"]: (row["image"], row["cipher_size"]) for row in rows}
