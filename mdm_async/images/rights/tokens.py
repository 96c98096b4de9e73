"""Local tokens: whoever holds the permission right on the root makes and ends them."""

from typing import Any

from mdm_async.catalog.rights import tokens
from mdm_async.catalog.rights.acl import demand_administrator
from mdm_async.errors import Exists
from mdm_async.identity.authenticator import ADMIN
from mdm_async.images.archive import Archive
from mdm_async.names import Caller, Scope


async def create(archive: Archive, caller: Caller, name: str, scope: Scope, lifetime: int | None) -> str:
    """A new token, told once; audited. Needs `p` on the whole tree, for a token is valid for names to come."""
    async with archive.database.transaction() as db:
        await demand_administrator(db, caller)
        if f"user:{name}" == ADMIN.name:
            raise Exists("that is the name of the administrator's own token", remedy="choose another name")
        return await tokens.create(db, caller, name, scope, lifetime)


async def revoke(archive: Archive, caller: Caller, name: str) -> None:
    """End a token and what it started."""
    async with archive.database.transaction() as db:
        await demand_administrator(db, caller)
        await tokens.revoke(db, caller, name)
    archive.changed.everything()


async def listing(archive: Archive, caller: Caller) -> list[dict[str, Any]]:
    async with archive.database.acquire() as db:
        await demand_administrator(db, caller)
        return await tokens.listing(db)
