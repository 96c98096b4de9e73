"""Key-encryption keys, for those who run the installation."""

from mdm_async.catalog.rights.acl import demand_administrator
from mdm_async.keys.standing import KeyStanding
from mdm_async.keys.store import KeyStore
from mdm_async.names import Caller
from mdm_async.postgres.database import Database


async def standing(database: Database, keys: KeyStore, caller: Caller) -> KeyStanding:
    """How the key store stands: its databases, and what is wrapped under which key."""
    async with database.acquire() as db:
        await demand_administrator(db, caller)
    return await keys.status()
