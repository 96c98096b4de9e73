"""Key-encryption keys, for those who run the installation."""

from collections.abc import Collection

from mdm_async.catalog.rights.acl import demand_administrator
from mdm_async.catalog.trail import acts
from mdm_async.catalog.trail.acts import Act
from mdm_async.keys.standing import KeyStanding
from mdm_async.keys.store import KeyStore
from mdm_async.names import Caller
from mdm_async.postgres.database import Database


async def standing(database: Database, keys: KeyStore, caller: Caller) -> KeyStanding:
    """How the key store stands: its databases, and what is wrapped under which key."""
    async with database.acquire() as db:
        await demand_administrator(db, caller)
    return await keys.status()


async def rotate(database: Database, keys: KeyStore, caller: Caller, gone: Collection[str]) -> KeyStanding:
    """Begin to wrap all under new keys, or go on with it; how far it is then. `gone`: nodes that will not come back."""
    async with database.acquire() as db:
        await demand_administrator(db, caller)
        await acts.record(db, [Act(caller, "rotate keys")])
    await keys.rotate(gone)
    return await keys.status()
