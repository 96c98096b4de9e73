"""Local tokens: whoever holds the permission right on the root makes and ends them."""

from typing import Any

from mdm_async.catalog.rights import tokens
from mdm_async.catalog.rights.acl import demand_administrator
from mdm_async.errors import Exists
from mdm_async.identity.authenticator import ADMIN
from mdm_async.images.changed import ChangedHere
from mdm_async.names import Caller, Scope
from mdm_async.postgres.database import Database


async def create(database: Database, caller: Caller, name: str, scope: Scope, lifetime: int | None) -> str:
    """A new token, told once; audited. Needs `p` on the whole tree, for a token is valid for names to come."""
    async with database.transaction() as db:
        await demand_administrator(db, caller)
        if f"user:{name}" == ADMIN.name:
            raise Exists("that is the name of the administrator's own token", remedy="choose another name")
        return await tokens.create(db, caller, name, scope, lifetime)


async def revoke(database: Database, changed: ChangedHere, caller: Caller, name: str) -> None:
    """End a token and what it started."""
    async with database.transaction() as db:
        await demand_administrator(db, caller)
        await tokens.revoke(db, caller, name)
    changed.everything()


async def listing(database: Database, caller: Caller) -> list[dict[str, Any]]:
    async with database.acquire() as db:
        await demand_administrator(db, caller)
        return await tokens.listing(db)
