"""Files pulled through a cohort: its members, by their GUIDs, in the versions that it pins.

Whether somebody may read a member is asked at its entry; once that has gone, at the cohort's directory. A version that
is no longer in force is given through the cohort alone.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from uuid import UUID

from mdm_async.catalog.cohorts import cohorts, members
from mdm_async.catalog.cohorts.cohorts import Cohort
from mdm_async.catalog.cohorts.members import Member
from mdm_async.catalog.namespace import bindings, places
from mdm_async.catalog.namespace.places import Place
from mdm_async.catalog.rights import acl
from mdm_async.errors import BadRequest, MdmError, NotADirectory, ViewRefused
from mdm_async.images.names.bound import demand_bound
from mdm_async.images.reading.served import ServedViews
from mdm_async.images.rights.delivery import demand_delivery, demands_sealed
from mdm_async.images.rights.recipients import RegisteredKey
from mdm_async.images.surls import existing
from mdm_async.images.transfers.judging import acls_of, through_cohort
from mdm_async.images.transfers.pins import Pinned, Wanted
from mdm_async.names import Caller, Right, View, parse_surl, split
from mdm_async.postgres.database import Connection
from mdm_async.settings import DeliverySettings


@dataclass(frozen=True, slots=True)
class Standing:
    """A cohort and the directory that it lies at, which is judged for members without an entry."""

    cohort: Cohort
    directory: Place

    async def places(self, db: Connection, some: Collection[Member]) -> dict[int, tuple[Place, ...]]:
        """Where it is asked whether these members may be read, by their numbers; of some nowhere (`through_cohort`)."""
        found = await places.of_entries(db, {member.entry for member in some})
        acls = await acls_of(db, [one for one in some if one.entry not in found])
        return {one.number: through_cohort(found.get(one.entry), self.directory, one, acls) for one in some}


async def directory_of(db: Connection, caller: Caller, path: str, right: Right) -> tuple[Place, str]:
    """The directory that a cohort of this path lies at, on which the caller has this right, and the cohort's name.
    Raises BadRequest, NotADirectory, and as `acl.demand`."""
    surl = parse_surl(path)
    if surl.view is not None:
        raise BadRequest("a cohort's path names a view", remedy="leave it out: its members say which")
    parent, name = split(surl.lfn)
    if not name:
        raise BadRequest("the root is no cohort", remedy="name it by its directory and its name in it")
    place, entry = await existing(db, caller, parent, right)
    if not entry.is_directory:
        raise NotADirectory("cohorts lie at directories")
    return place, name


async def standing(db: Connection, caller: Caller, path: str, right: Right = Right.GET_METADATA) -> Standing:
    """A cohort, for whoever has this right on its directory. Raises as `directory_of`, and NotFound."""
    place, name = await directory_of(db, caller, path, right)
    found = await cohorts.named(db, place.ancestor.id, name)
    if found is None:
        raise acl.missing(caller)
    return Standing(found, place)


async def wanted_through(
    served: ServedViews,
    delivery: DeliverySettings,
    db: Connection,
    caller: Caller,
    path: str,
    files: Sequence[tuple[int, str]],
    recipient: bytes | None,
) -> list[Wanted | MdmError]:
    """Of each (item, SURL) what of the cohort the caller may read, or why not. Raises as `standing`."""
    stands = await standing(db, caller, path)
    guids = [_guid(surl) for _, surl in files]
    known = await members.with_guids(db, stands.cohort.id, {guid for guid in guids if isinstance(guid, UUID)})
    asked_at = await stands.places(db, known.values())
    registered = RegisteredKey(db, caller)
    found: list[Wanted | MdmError] = []
    for (item, surl), guid in zip(files, guids, strict=True):
        try:
            if isinstance(guid, MdmError):
                raise guid
            member = known.get(guid)
            if member is None:
                raise acl.missing(caller)
            view = View(member.view)
            if not asked_at[member.number]:
                raise acl.missing(caller)
            for place in asked_at[member.number]:
                acl.demand(caller, place, Right.READ, view)
            demand_served(served, member)
            bound = bindings.pinned(member.view, member.version)
            demand_bound(served.bindings, member.guid, member.image, bound, member.binding)
            key = recipient
            for place in asked_at[member.number]:
                if key is None and demands_sealed(delivery, place, view):
                    key = await registered.key()
                    demand_delivery(delivery, place, view, key)
        except MdmError as why:
            found.append(why)
        else:
            way = tuple(dict.fromkeys((*stands.directory.way, *asked_at[member.number][0].way)))
            cohort, directory = stands.cohort, stands.directory.ancestor.id
            pinned = Pinned(cohort.id, cohort.guid, directory, member.version)
            found.append(Wanted(item, surl, member.entry, member.guid, member.image, view, key, way, pinned))
    return found


def demand_served(served: ServedViews, member: Member) -> None:
    """Raises ViewRefused."""
    if not served.serves_pinned(member.view, member.version):
        raise ViewRefused(
            f"the pinned version of the view '{member.view}' was withdrawn by a revision for security's sake",
            remedy="make the cohort again: it pins the view as it is made now",
        )


def _guid(surl: str) -> UUID | MdmError:
    try:
        guid = parse_surl(surl).guid
        if guid is None:
            raise BadRequest(
                "members of a cohort are named by their GUIDs", remedy="mdm cohort show lists them"
            )
    except BadRequest as why:
        return why
    return guid
