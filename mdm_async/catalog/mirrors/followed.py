"""Directories here that follow one of another installation's: who may say what is in them, and until when."""

import hashlib
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

import asyncpg

from mdm_async.catalog.mirrors import read_only
from mdm_async.errors import Exists, Fenced
from mdm_async.postgres.database import Connection

FOLLOWING, PROMOTED = "following", "promoted"


@dataclass(frozen=True, slots=True)
class Followed:
    """One of them. `first`: the installation that it follows, once that has been heard."""

    name: str
    directory: int
    state: str
    epoch: int
    first: UUID | None
    added: datetime
    added_by: str
    heard: datetime | None
    complete: datetime | None


_COLUMNS = "name, directory, state, epoch, first, added, added_by, heard, complete"


def digest(credential: str) -> bytes:
    return hashlib.sha256(credential.encode()).digest()


async def add(db: Connection, name: str, directory: int, credential: str, by: str) -> None:
    """Raises Exists."""
    try:
        await db.execute(
            "insert into followed (name, directory, credential, added_by) values ($1, $2, $3, $4)",
            *(name, directory, digest(credential), by),
        )
    except asyncpg.UniqueViolationError:
        raise Exists(
            "something follows by that name, or in that directory", remedy="mdm mirror status"
        ) from None
    await read_only.bar(db, directory, name, "follows")


async def shown(db: Connection, credential: str) -> Followed | None:
    row = await db.fetchrow(f"select {_COLUMNS} from followed where credential = $1", digest(credential))
    return Followed(*row.values()) if row is not None else None


async def get(db: Connection, name: str) -> Followed | None:
    row = await db.fetchrow(f"select {_COLUMNS} from followed where name = $1", name)
    return Followed(*row.values()) if row is not None else None


async def listing(db: Connection) -> list[Followed]:
    return [
        Followed(*row.values()) for row in await db.fetch(f"select {_COLUMNS} from followed order by name")
    ]


async def keep(db: Connection, name: str, epoch: int) -> Followed:
    """First in each transaction that changes what follows: nobody promotes it until that ends. Raises Fenced."""
    row = await db.fetchrow(f"select {_COLUMNS} from followed where name = $1 for share", name)
    if row is None or row["state"] != FOLLOWING or row["epoch"] != epoch:
        raise fenced(name)
    await read_only.excuse(db, "follows")
    return Followed(*row.values())


def fenced(name: str) -> Fenced:
    return Fenced(
        f"the mirror {name!r} was promoted: it has taken the first one's place",
        remedy="use the promoted server; mdm mirror status says what was not sent",
    )


async def bind(db: Connection, name: str, first: UUID) -> UUID:
    """Whom it follows: whoever was first."""
    return await db.fetchval(  # type: ignore[no-any-return]
        "update followed set first = coalesce(first, $2) where name = $1 returning first", name, first
    )


async def note_heard(db: Connection, name: str, complete: datetime | None) -> None:
    await db.execute(
        "update followed set heard = now(), complete = coalesce($2, complete) where name = $1", name, complete
    )


async def promote(db: Connection, followed: Followed) -> int | None:
    """The new epoch, in which it follows nobody; None when it did not follow any more."""
    epoch: int | None = await db.fetchval(
        "update followed set state = 'promoted', epoch = epoch + 1 where name = $1 and state = 'following'"
        " returning epoch",
        followed.name,
    )
    if epoch is not None:
        await read_only.open_again(db, followed.directory)
        await db.execute("delete from followed_uploads where name = $1", followed.name)
    return epoch


async def image_of(db: Connection, name: str, theirs: UUID) -> UUID | None:
    """What the first's image is here; None when it has not come, or has gone."""
    return await db.fetchval(  # type: ignore[no-any-return]
        "select f.image from followed_images f join images i on i.id = f.image and i.doomed is null"
        " where f.name = $1 and f.theirs = $2 for share of i",
        name,
        theirs,
    )


async def images_of(db: Connection, name: str, theirs: Collection[UUID]) -> list[UUID]:
    rows = await db.fetch(
        "select f.image from followed_images f join images i on i.id = f.image and i.doomed is null"
        " where f.name = $1 and f.theirs = any($2::uuid[])",
        name,
        list(theirs),
    )
    return [row["image"] for row in rows]


async def add_image(db: Connection, name: str, theirs: UUID, image: UUID) -> None:
    await db.execute(
        "insert into followed_images (name, theirs, image) values ($1, $2, $3)"
        " on conflict (name, theirs) do update set image = $3",
        *(name, theirs, image),
    )


async def expect(db: Connection, id_: UUID, name: str, secret: bytes, record: Mapping[str, Any]) -> None:
    """Something sealed is to come. What was expected for a day does not any more."""
    await db.execute("delete from followed_uploads where at < now() - interval '1 day'")
    await db.execute(
        "insert into followed_uploads (id, name, secret, record) values ($1, $2, $3, $4)",
        *(id_, name, secret, record),
    )


async def expected(db: Connection, name: str, id_: UUID) -> tuple[bytes, dict[str, Any]] | None:
    row = await db.fetchrow(
        "select secret, record from followed_uploads where id = $1 and name = $2", id_, name
    )
    return (row["secret"], row["record"]) if row is not None else None


async def came(db: Connection, id_: UUID) -> bool:
    """False when it was no more expected: somebody else brought it."""
    return bool(await db.fetchval("delete from followed_uploads where id = $1 returning true", id_))


async def note_key(db: Connection, project: str, name: str) -> None:
    """A project's key came from elsewhere: other nodes read it anew."""
    await db.execute(
        "insert into followed_keys (project, name) values ($1, $2)"
        " on conflict (project) do update set name = $2, at = clock_timestamp()",
        project,
        name,
    )


async def has_images(db: Connection) -> bool:
    """Whether anything is stored here, of which views may have been made."""
    return bool(await db.fetchval("select exists (select from images limit 1)"))
