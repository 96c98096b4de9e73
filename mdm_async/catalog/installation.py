"""The installation that a database belongs to."""

from uuid import UUID

from mdm_async.postgres.database import Connection


async def identity(db: Connection) -> UUID:
    """Its id, made with the database; wrapped secrets are bound to it."""
    found: UUID = await db.fetchval("select id from installation")
    return found


async def identity_if_any(db: Connection) -> UUID | None:
    """None of a database that holds no catalog yet."""
    if await db.fetchval("select to_regclass('installation') is null"):
        return None
    return await identity(db)


async def blob_store(db: Connection) -> tuple[UUID, UUID | None]:
    """Its id, and that of its blob store, if it has one; no other node looks until the transaction ends."""
    row = await db.fetchrow("select id, blob_store from installation for update")
    assert row is not None
    return row["id"], row["blob_store"]


async def set_blob_store(db: Connection, store: UUID) -> None:
    await db.execute("update installation set blob_store = $1", store)
