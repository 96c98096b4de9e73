"""Key-encryption keys, for those who run the installation."""

from collections.abc import Collection

from mdm_async.catalog.rights.acl import demand_administrator
from mdm_async.catalog.trail import acts
from mdm_async.catalog.trail.acts import Act
from mdm_async.errors import NotFound
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
    """Begin to wrap all under new keys, or go on with it; how far it is then.

    `gone`: nodes that will not come back. Raises NotFound where no store knows such a node.
    """
    async with database.acquire() as db:
        await demand_administrator(db, caller)
    if gone:
        _demand_known(gone, await keys.status())
    async with database.acquire() as db:
        await acts.record(db, [Act(caller, "rotate keys")])
    await keys.rotate(gone)
    return await keys.status()


def _demand_known(names: Collection[str], standing: KeyStanding) -> None:
    if not all(store.alive for store in standing.stores):
        return  # What a store that is away knows is not known here; to rotate, all must be there.
    known = {node.name for store in standing.stores for node in store.nodes}
    if unknown := sorted(set(names) - known):
        raise NotFound(
            f"no node of these names has keys: {', '.join(unknown)}",
            remedy="mdm keys status names them; one that was struck off already need not be named again",
        )
