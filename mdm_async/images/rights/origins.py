"""Where what is in force at an entry comes from: the directories above, as far as one may see them."""

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from mdm_async.catalog.namespace import places
from mdm_async.catalog.namespace.places import Place
from mdm_async.catalog.rights import acl, kept_acls
from mdm_async.names import Caller, Lfn, Right
from mdm_async.postgres.database import Connection


@dataclass(frozen=True, slots=True)
class Origin:
    """An entry that gives something, or stands in the way."""

    guid: UUID
    lfn: Lfn


@dataclass(frozen=True, slots=True)
class Lineage:
    """The places above an entry, the root first, and the entry's own."""

    places: tuple[Place, ...]

    @property
    def own(self) -> Place:
        return self.places[-1]

    @property
    def acl_from(self) -> Place:
        """Who gives the ACL in force."""
        entry = self.own.entry
        if len(self.places) == 1 or (entry is not None and entry.acl is not None):
            return self.own
        return Lineage(self.places[:-1]).heritage_from

    @property
    def heritage_from(self) -> Place:
        """Who gives the ACL that entries below inherit."""
        return next((place for place in reversed(self.places) if _hands_down(place)), self.places[0])


def _hands_down(place: Place) -> bool:
    return place.entry is not None and (place.entry.default_acl or place.entry.acl) is not None


async def lineages(db: Connection, found: Sequence[Place]) -> dict[int, Lineage]:
    """Of places that have entries, by these."""
    ids = [place.entry.id for place in found if place.entry is not None]
    above = await kept_acls.ancestors(db, ids)
    known = await places.of_entries(db, {entry.id for line in above.values() for entry in line} | set(ids))
    return {
        id_: Lineage(tuple(known[one] for one in (*(e.id for e in reversed(above[id_])), id_)))
        for id_ in ids
        if id_ in known
    }


def seen_by(caller: Caller, place: Place) -> Origin | None:
    """Told to those who may list it."""
    if place.entry is None or not acl.allows(caller, place, Right.LIST):
        return None
    return Origin(place.entry.guid, place.lfn)
