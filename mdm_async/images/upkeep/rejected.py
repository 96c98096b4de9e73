"""What rejection notes hide, as administrators see it: so that they find the note to take back."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final
from uuid import UUID

from mdm_async.catalog.holdings import rejections
from mdm_async.catalog.namespace import places
from mdm_async.catalog.namespace.places import Place
from mdm_async.catalog.rights import acl
from mdm_async.catalog.trail import acts
from mdm_async.catalog.trail.acts import Act
from mdm_async.names import Caller, Lfn, Right
from mdm_async.postgres.database import Database

_PAGE: Final = 500


@dataclass(frozen=True, slots=True)
class Named:
    """A file; `lfn`: for whoever may list it, or might if it were not hidden."""

    guid: UUID
    lfn: Lfn | None


@dataclass(frozen=True, slots=True)
class RejectedFile:
    """A file that is hidden since `at`, for a reason (a code of DCM), by some notes."""

    file: Named
    code: int
    at: datetime
    notes: Sequence[Named]


async def rejected(
    database: Database, caller: Caller, after: int
) -> tuple[Sequence[RejectedFile], int | None]:
    """A page of all files that are hidden; after what to go on, None at the end. For administrators, and audited.

    Raises Forbidden, Unauthenticated.
    """
    async with database.transaction() as db:
        await acl.demand_administrator(db, caller)
        found = await rejections.hidden(db, after, _PAGE)
        where = await places.of_entries(db, {id_ for one in found for id_ in (one.entry, *one.notes)})
        told = [
            RejectedFile(
                _named(caller, where[one.entry]),
                one.code,
                one.at,
                [_named(caller, where[note]) for note in one.notes if note in where],
            )
            for one in found
            if one.entry in where
        ]
        await acts.record(db, [Act(caller, "list rejected", details={"files": len(told)})])
    return told, found[-1].entry if len(found) == _PAGE else None


def _named(caller: Caller, place: Place) -> Named:
    assert place.entry is not None
    may = acl.allows(caller, acl.if_not_rejected(place), Right.LIST)
    return Named(place.entry.guid, place.lfn if may else None)
