"""Directories here that follow one of another installation's: who may say what is in them, and until when."""

import hashlib
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

import asyncpg

from mdm_async.catalog.mirrors import read_only
from mdm_async.errors import Conflict, Exists, Fenced, Gone
from mdm_async.postgres.database import Connection

FOLLOWING, PROMOTED = "following", "promoted"


@dataclass(frozen=True, slots=True)
class Followed:
    """One of them. `first`: the installation that it follows, once that has been heard, and the public `key` by which
    that signs. `said`: how often it has said something of entries."""

    name: str
    directory: int
    state: str
    epoch: int
    first: UUID | None
    key: bytes | None
    said: int
    added: datetime
    added_by: str
    heard: datetime | None
    complete: datetime | None


_COLUMNS = "name, directory, state, epoch, first, key, said, added, added_by, heard, complete"


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


async def bind(db: Connection, name: str, first: UUID, key: bytes) -> Followed:
    """Whom it follows, and whose signatures count: whoever was first."""
    row = await db.fetchrow(
        "update followed set first = coalesce(first, $2), key = coalesce(key, $3) where name = $1"
        f" returning {_COLUMNS}",
        *(name, first, key),
    )
    assert row is not None
    return Followed(*row.values())


async def count(db: Connection, name: str, epoch: int, said: int) -> None:
    """The first says something of entries, for the time `said`; what it was to send for what it said before does not
    come any more. Raises Fenced, Conflict when that has been said."""
    counted = await db.fetchval(
        "update followed set said = $3 where name = $1 and state = 'following' and epoch = $2 and said < $3"
        " returning true",
        *(name, epoch, said),
    )
    if not counted:
        await keep(db, name, epoch)
        raise Conflict("that has been said before", remedy="say hello again")
    await db.execute("delete from followed_uploads where name = $1", name)


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


async def shred(db: Connection, name: str, epoch: int, theirs: Collection[UUID]) -> list[UUID]:
    """Take none of these any more; those that are here. What just comes is waited for. Raises Fenced."""
    await db.execute("select from followed where name = $1 for update", name)
    await keep(db, name, epoch)
    await db.execute(
        "insert into followed_shreds (name, theirs) select $1, unnest($2::uuid[]) on conflict do nothing",
        name,
        list(theirs),
    )
    return await images_of(db, name, theirs)


async def demand_kept(db: Connection, name: str, theirs: UUID) -> None:
    """Return when the first's image may come; after `keep`. Raises Gone when it was shredded."""
    if await db.fetchval(
        "select exists (select from followed_shreds where name = $1 and theirs = $2)", name, theirs
    ):
        raise Gone("the image was shredded")


async def add_image(db: Connection, name: str, theirs: UUID, image: UUID) -> None:
    await db.execute(
        "insert into followed_images (name, theirs, image) values ($1, $2, $3)"
        " on conflict (name, theirs) do update set image = $3",
        *(name, theirs, image),
    )


async def expect(db: Connection, id_: UUID, name: str, secret: bytes, record: Mapping[str, Any]) -> None:
    """Something sealed is to come, until the first says something anew."""
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
