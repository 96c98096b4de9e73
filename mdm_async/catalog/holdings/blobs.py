"""Rows of the blob store. A row comes before its file and goes after it, so no crash loses or leaks a file."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from uuid import UUID

from mdm_async.errors import Gone
from mdm_async.postgres.database import Connection


async def lease(db: Connection, blob: UUID, seconds: float) -> None:
    """Announce a write, before its first byte."""
    await db.execute(
        "insert into blobs (id, state, lease) values ($1, 'writing', now() + make_interval(secs => $2))",
        blob,
        seconds,
    )


async def renew(db: Connection, blobs: Sequence[UUID], seconds: float) -> int:
    """Extend the leases of running writes; how many still held."""
    status = await db.execute(
        "update blobs set lease = now() + make_interval(secs => $2) where id = any($1::uuid[]) and state = 'writing'",
        list(blobs),
        seconds,
    )
    return int(status.removeprefix("UPDATE "))


async def settle(db: Connection, blobs: Sequence[UUID]) -> None:
    """Make written blobs stored. Raises Gone when a lease lapsed and the sweeper took one."""
    status = await db.execute(
        "update blobs set state = 'stored', lease = null where id = any($1::uuid[]) and state = 'writing'",
        list(blobs),
    )
    if status != f"UPDATE {len(blobs)}":
        raise lapsed()


def lapsed() -> Gone:
    return Gone("the upload took too long without a sign of life", remedy="upload again")


async def give_up(db: Connection, blobs: Sequence[UUID]) -> list[UUID]:
    """Give up writes that seem not to have succeeded; those of which that is true, whose files may now go.

    Not true of blobs that a commit has stored whose answer was lost. True of those that the sweeper took meanwhile.
    """
    await db.execute(
        "update blobs set state = 'doomed', doomed = now(), lease = null"
        " where id = any($1::uuid[]) and state = 'writing'",
        list(blobs),
    )
    rows = await db.fetch("select id from blobs where id = any($1::uuid[]) and state = 'stored'", list(blobs))
    stored = {row["id"] for row in rows}
    return [blob for blob in blobs if blob not in stored]


async def doom_lapsed(db: Connection, count: int) -> int:
    """Give up writes of which no sign of life has come for long: some; how many."""
    status = await db.execute(
        "update blobs set state = 'doomed', doomed = now(), lease = null where state = 'writing' and id in ("
        "  select id from blobs where state = 'writing' and lease < now() limit $1 for update skip locked)",
        count,
    )
    return int(status.removeprefix("UPDATE "))


async def forget(db: Connection, blobs: Sequence[UUID]) -> None:
    """Drop the rows of deleted files."""
    await db.execute("delete from blobs where id = any($1::uuid[]) and state = 'doomed'", list(blobs))


async def keep_named(db: Connection, blobs: Sequence[UUID]) -> dict[UUID, UUID]:
    """Keep those doomed blobs that a part lies in: by blob, its image. None is doomed before its part has gone, so
    somebody else has written to the catalog."""
    rows = await db.fetch(
        "update blobs b set state = 'stored', doomed = null, lease = null, taken_by = null, failure = null"
        " from parts p where p.blob = b.id and b.id = any($1::uuid[]) and b.state = 'doomed' returning b.id, p.image",
        list(blobs),
    )
    return {row["id"]: row["image"] for row in rows}


async def recognised(db: Connection, listed: Sequence[UUID]) -> bool:
    """Whether some of these blobs are known here; or none lie there, and none are stored."""
    found: bool = await db.fetchval(
        "select exists(select from blobs where id = any($1::uuid[]))"
        " or cardinality($1::uuid[]) = 0 and not exists(select from blobs where state = 'stored')",
        list(listed),
    )
    return found


@dataclass(frozen=True, slots=True)
class Known:
    """A blob as the catalog knows it; `image` and `size` of the part that lies in it, if there is one."""

    id: UUID
    state: str
    image: UUID | None
    size: int | None


_KNOWN = "select b.id, b.state, p.image, p.cipher_size from ({}) b left join parts p on p.blob = b.id order by b.id"


async def page(db: Connection, after: UUID, count: int) -> list[Known]:
    """Some blobs in the order of their ids, after one."""
    rows = await db.fetch(
        _KNOWN.format("select id, state from blobs where id > $1 order by id limit $2"), after, count
    )
    return [Known(*row.values()) for row in rows]


async def known(db: Connection, ids: Sequence[UUID]) -> dict[UUID, Known]:
    """Those among these that have a row."""
    rows = await db.fetch(_KNOWN.format("select id, state from blobs where id = any($1::uuid[])"), list(ids))
    return {row["id"]: Known(*row.values()) for row in rows}


async def of_images(db: Connection, images: Collection[UUID]) -> list[Known]:
    """All that these images' parts lie in."""
    rows = await db.fetch(
        "select b.id, b.state, p.image, p.cipher_size from parts p join blobs b on b.id = p.blob"
        " where p.image = any($1::uuid[])",
        list(images),
    )
    return [Known(*row.values()) for row in rows]
