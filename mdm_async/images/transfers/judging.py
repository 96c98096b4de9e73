"""Whether transfer URLs still have the rights that they were given by: asked again when rights have changed."""

import asyncio
from collections import abc
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import Self
from uuid import UUID

from mdm_async.catalog.cohorts import members
from mdm_async.catalog.cohorts.members import Member
from mdm_async.catalog.grants.grants import Grant
from mdm_async.catalog.namespace import as_it_was, places
from mdm_async.catalog.namespace.places import Acl, Place
from mdm_async.catalog.rights import acl
from mdm_async.catalog.rights.callers import Callers
from mdm_async.identity.mapping import Mapping
from mdm_async.images.rights.delivery import demands_sealed
from mdm_async.images.transfers.live_index import Way
from mdm_async.names import Caller, Right, View
from mdm_async.postgres.database import Connection, Database
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
            pinned = await _Pinned.of(db, [grant for grant in held if grant.entry not in found])
        allowed = {}
        for count, grant in enumerate(held, 1):
            if self._may(grant, caller_of(grant), found, pinned):
                allowed[grant.turl] = _way(grant, found)
            if count % _AT_ONCE == 0:
                await asyncio.sleep(0)
        return allowed

    def _may(
        self, grant: Grant, caller: Caller | None, found: abc.Mapping[int, Place], pinned: "_Pinned"
    ) -> bool:
        entry, directory = found.get(grant.entry or 0), found.get(grant.parent or 0)
        if caller is None:
            return False
        if grant.operation == "put":
            if entry is not None and not all(acl.allows(caller, entry, right) for right in _TO_OVERWRITE):
                return False
            return directory is not None and acl.may_create(caller, directory.child(grant.name or "", None))
        view = View(grant.view or "")
        asked_at: Sequence[Place] = () if entry is None else (entry,)
        if grant.cohort is not None:
            member = pinned.members.get((grant.cohort, grant.guid)) if grant.guid is not None else None
            asked_at = through_cohort(entry, directory, member, pinned.acls)
        if grant.recipient is None and any(demands_sealed(self.delivery, one, view) for one in asked_at):
            return False
        return may_read(caller, asked_at, view)


@dataclass(frozen=True, slots=True)
class _Pinned:
    """Members of cohorts whose entries have gone, by cohort and GUID, and the ACLs that were in force there."""

    members: abc.Mapping[tuple[int, UUID], Member]
    acls: abc.Mapping[int, Acl]

    @classmethod
    async def of(cls, db: Connection, grants: Sequence[Grant]) -> Self:
        wanted = {
            (grant.cohort, grant.guid)
            for grant in grants
            if grant.cohort is not None and grant.guid is not None
        }
        found = await members.each(db, wanted) if wanted else {}
        return cls(found, await acls_of(db, found.values()))


async def acls_of(db: Connection, some: Iterable[Member]) -> dict[int, Acl]:
    """What was in force at the entries of these members, as far as they have gone."""
    wanted = as_it_was.acls_in([one.last for one in some if one.last is not None])
    return await places.acls_of(db, wanted) if wanted else {}


def through_cohort(
    entry: Place | None, directory: Place | None, member: Member | None, acls: abc.Mapping[int, Acl]
) -> tuple[Place, ...]:
    """Where it is asked whether somebody may read a member of a cohort: at its entry. Once that has gone, at the
    cohort's directory, as of a file in it; and unless whoever made the cohort could give others rights to the entry, at
    the entry as it was, too: a right that was withdrawn does not come back. Nowhere: nobody may, as with what a
    rejection note hides."""
    if directory is None or (member is not None and member.rejected):
        return ()
    if entry is not None:
        return (entry,)
    here = directory.child("", None)
    if member is None or (member.last is None and not member.handed_on):
        return ()
    if member.handed_on or member.last is None:
        return (here,)
    return (here, as_it_was.place_of(here, member.last, acls))


def may_read(caller: Caller, asked_at: Sequence[Place], view: View) -> bool:
    """Whether all of these places, which are one at least, let the caller read a view."""
    return bool(asked_at) and all(acl.allows(caller, one, Right.READ, view) for one in asked_at)


def _way(grant: Grant, found: abc.Mapping[int, Place]) -> Way:
    """All entries that the right hangs on: those that lead to the file, and of an upload to its directory."""
    places_ = [found[id_] for id_ in (grant.parent, grant.entry) if id_ is not None and id_ in found]
    return tuple(dict.fromkeys(entry for place in places_ for entry in place.way))
