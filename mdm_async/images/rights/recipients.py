"""Recipients' keys: everyone registers their own, administrators any principal's; all of it audited."""

from mdm_async.catalog.namespace.places import resolve_one
from mdm_async.catalog.rights import acl, recipients
from mdm_async.catalog.rights.acl import demand_administrator
from mdm_async.catalog.rights.recipients import Recipient
from mdm_async.catalog.trail import acts
from mdm_async.catalog.trail.acts import Act
from mdm_async.errors import BadRequest, Forbidden, NotFound, Refusal, Unauthenticated
from mdm_async.names import ROOT, Caller, Right
from mdm_async.postgres.database import Connection, Database
from mdm_async.rules import parse_principal


async def listing(database: Database, caller: Caller) -> list[Recipient]:
    """All keys, for administrators; for others those that their own sealed transfers may go to."""
    async with database.acquire() as db:
        found = await recipients.listing(db)
        if acl.is_administrator(caller, await resolve_one(db, ROOT)):
            return found
    if caller.is_anonymous:
        raise Unauthenticated(remedy="log in to see your own key")
    return [one for one in found if one.principal in {caller.name, *caller.principals}]


async def put(database: Database, caller: Caller, principal: str | None, key: bytes) -> str:
    """Register a key, instead of the one before, if any; whose it is. `principal`: another than the caller."""
    async with database.transaction() as db:
        whose = await _whose(db, caller, principal)
        await recipients.put(db, whose, key, caller.name)
        details = {"principal": whose, "key": key.hex()}
        await acts.record(db, [Act(caller, "set recipient", details=details)])
    return whose


async def remove(database: Database, caller: Caller, principal: str | None) -> str:
    """Whose key was removed. Raises NotFound when there is none."""
    async with database.transaction() as db:
        whose = await _whose(db, caller, principal)
        if not await recipients.remove(db, whose):
            raise NotFound("no key is registered for this principal")
        await acts.record(db, [Act(caller, "remove recipient", details={"principal": whose})])
    return whose


class RegisteredKey:
    """The key registered for a caller, asked for once: their own, or else that of their most special group."""

    def __init__(self, db: Connection, caller: Caller) -> None:
        self._db, self._caller = db, caller
        self._key: bytes | None = None
        self._asked = False

    async def key(self) -> bytes | None:
        if not self._asked:
            keys = await recipients.keys_of(self._db, [self._caller.name, *self._caller.principals])
            order = sorted(keys, key=lambda who: (who != self._caller.name, -len(who), who))
            self._key = keys[order[0]] if order else None
            self._asked = True
        return self._key


async def _whose(db: Connection, caller: Caller, principal: str | None) -> str:
    """The principal whose key it is; the caller's own, unless another is named. Raises Forbidden."""
    if caller.is_anonymous:
        raise Unauthenticated(remedy="log in: a key belongs to somebody")
    if principal is not None and parse_principal(principal).startswith("any:"):
        raise BadRequest(
            "a key belongs to a person, a group or a VO", remedy="name another principal than any:…"
        )
    if principal is not None and principal != caller.name:
        await demand_administrator(db, caller)
        return principal
    # What is sealed for it is opened by whoever holds its private half, under full credentials of the same person too.
    if caller.limited or caller.bound is not None or caller.name not in caller.principals:
        why = Forbidden(
            f"this credential of {caller.name} may not register a key", remedy="use one that is not limited"
        )
        why.refusal = Refusal(caller.name, Right.PERMISSION)
        raise why
    return caller.name
