"""Whether transfer URLs still have the rights that they were given by: asked again when rights have changed."""

import asyncio
from collections import abc
from collections.abc import Callable, Collection
from dataclasses import dataclass

from mdm_async.catalog.grants.grants import Grant
from mdm_async.catalog.namespace import places
from mdm_async.catalog.namespace.places import Place
from mdm_async.catalog.rights import acl
from mdm_async.catalog.rights.callers import Callers
from mdm_async.identity.mapping import Mapping
from mdm_async.images.rights.delivery import demands_sealed
from mdm_async.images.transfers.live_index import Way
from mdm_async.names import Caller, Right, View
from mdm_async.postgres.database import Database
from mdm_async.settings import DeliverySettings

_AT_ONCE = 256
"""Judged between two turns of the event loop."""
_TO_OVERWRITE = (Right.WRITE, Right.DELETE)


@dataclass(frozen=True, slots=True)
class Judge:
    """Asks the decision point about transfer URLs, as their callers were authenticated when they were given."""

    database: Database
    callers: Callers
    mapping: Mapping
    delivery: DeliverySettings

    async def still_allowed(self, held: Collection[Grant]) -> dict[bytes, Way]:
        """The transfer URLs among these whose caller may now what they are for, and by which entries."""
        known = await self.callers.get({grant.who for grant in held if grant.who is not None})
        callers = {who: self.mapping.apply(caller) for who, caller in known.items()}
        return await self._allowed(held, lambda grant: callers.get(grant.who or 0))

    async def allowed_to(self, caller: Caller, held: Collection[Grant]) -> set[bytes]:
        """Those among these that this caller, by the credential that he shows now, may have himself: one person's
        credentials may differ in roles and groups."""
        return set(await self._allowed(held, lambda grant: caller))

    async def _allowed(
        self, held: Collection[Grant], caller_of: Callable[[Grant], Caller | None]
    ) -> dict[bytes, Way]:
        async with self.database.acquire() as db:
            wanted = {place for grant in held for place in (grant.entry, grant.parent) if place is not None}
            found = await places.of_entries(db, wanted)
        allowed = {}
        for count, grant in enumerate(held, 1):
            if self._may(grant, caller_of(grant), found):
                allowed[grant.turl] = _way(grant, found)
            if count % _AT_ONCE == 0:
                await asyncio.sleep(0)
        return allowed

    def _may(self, grant: Grant, caller: Caller | None, found: abc.Mapping[int, Place]) -> bool:
        entry, directory = found.get(grant.entry or 0), found.get(grant.parent or 0)
        if caller is None:
            return False
        if grant.operation == "put":
            if entry is not None and not all(acl.allows(caller, entry, right) for right in _TO_OVERWRITE):
                return False
            return directory is not None and acl.may_create(caller, directory.child(grant.name or "", None))
        view = View(grant.view or "")
        if grant.cohort is not None:
            entry = through_cohort(entry, directory)
        if entry is None or (grant.recipient is None and demands_sealed(self.delivery, entry, view)):
            return False
        return acl.allows(caller, entry, Right.READ, view)


def through_cohort(entry: Place | None, directory: Place | None) -> Place | None:
    """Where it is asked whether somebody may read a member of a cohort: at its entry, and at the cohort's directory, as
    of a file in it, once the entry has gone. None when the directory has gone."""
    if directory is None:
        return None
    return entry or directory.child("", None)


def _way(grant: Grant, found: abc.Mapping[int, Place]) -> Way:
    """All entries that the right hangs on: those that lead to the file, and of an upload to its directory."""
    places_ = [found[id_] for id_ in (grant.parent, grant.entry) if id_ is not None and id_ in found]
    return tuple(dict.fromkeys(entry for place in places_ for entry in place.way))
