"""The installation that a database belongs to."""

from uuid import UUID

from mdm_async.postgres.database import Connection


async def identity(db: Connection) -> UUID:
    """Its id, made with the database; wrapped secrets are bound to it."""
    found: UUID = await db.fetchval("select id from installation")
    return found


async def bump_acl_epoch(db: Connection) -> None:
    """Say that rights have changed, in the transaction that changes them; every node re-checks its live grants."""
    await db.execute("update installation set acl_epoch = acl_epoch + 1")
