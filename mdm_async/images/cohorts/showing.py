"""Cohorts shown, their members told, cohorts deleted.

A member is told to whoever may read it, as they would be told by reading it; all others of that directory learn that it
is there, and a digest that tells nothing.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Literal
from uuid import UUID

import orjson
from cryptography.exceptions import InvalidTag

from mdm_async.catalog.cohorts import cohorts, members
from mdm_async.catalog.cohorts.cohorts import Cohort
from mdm_async.catalog.cohorts.members import Member
from mdm_async.catalog.holdings import stored_views
from mdm_async.catalog.holdings.stored_views import Holding
from mdm_async.catalog.namespace import places
from mdm_async.catalog.rights import acl
from mdm_async.catalog.trail import acts
from mdm_async.catalog.trail.acts import Act
from mdm_async.cohort_manifest import PinnedFile
from mdm_async.errors import NotADirectory
from mdm_async.images.changed import ChangedHere
from mdm_async.images.cohorts import facts
from mdm_async.images.cohorts.choosing import Query
from mdm_async.images.cohorts.making import Cohorts
from mdm_async.images.names.user_text import opened
from mdm_async.images.reading.served import ServedViews
from mdm_async.images.reading.shelf import Found
from mdm_async.images.surls import existing
from mdm_async.images.transfers.judging import may_read
from mdm_async.images.transfers.through_cohort import Standing, standing
from mdm_async.keys.derive import MappingCipher
from mdm_async.names import IDENTIFIED, Caller, Lfn, Right, View
from mdm_async.postgres.database import Database

LISTED = 200
"""Cohorts in one page of a directory's."""
TOLD = 200
"""Members in one page."""
_COUNTED = 1000

Holdings = Mapping[tuple[UUID, str], Holding]

State = Literal["available", "withdrawn", "shredded", "lost"]
"""`withdrawn`: a revision for security's sake has come since. `lost`: its bytes, or what opens them."""


@dataclass(frozen=True, slots=True)
class Shown:
    """A cohort as it stands. `statement` is what was signed; `query` and `path` are told to whoever may know them."""

    statement: dict[str, Any]
    query: str | None
    path: Lfn | None
    """Where the query was asked."""
    states: dict[State, int]


@dataclass(frozen=True, slots=True)
class Told:
    """A member. `file`: None for who may not read it; `path`: where its entry lies today, for who may list it."""

    number: int
    digest: bytes
    state: State
    file: PinnedFile | None = None
    path: Lfn | None = None


async def listing(
    database: Database, caller: Caller, surl: str, after: str
) -> tuple[Sequence[Cohort], str | None]:
    """Those at a directory on which the caller has 'g', some after a name; and the last one, None of all."""
    async with database.acquire() as db:
        _, entry = await existing(db, caller, surl, Right.GET_METADATA)
        if not entry.is_directory:
            raise NotADirectory("cohorts lie at directories")
        found = await cohorts.at(db, entry.id, after, LISTED)
    return found, found[-1].name if len(found) == LISTED else None


async def show(own: Cohorts, caller: Caller, path: str) -> Shown:
    """Raises as `standing`."""
    cipher = await own.text.cipher()
    async with own.database.acquire() as db:
        stands = await standing(db, caller, path)
        kept = kept_of(cipher, caller, stands)
        query, root = kept.query, None
        if query is not None:
            root = (await places.of_entries(db, [query.root])).get(query.root)
    return Shown(
        kept.statement,
        query.text if query is not None else None,
        root.lfn if root is not None and acl.sees(caller, root) else None,
        await _states(own, caller, stands.cohort),
    )


@dataclass(frozen=True, slots=True)
class Kept:
    """What was signed, and the query that the cohort was selected by; `withheld` from whoever may not know it."""

    statement: dict[str, Any]
    query: Query | None
    withheld: bool = False


def kept_of(cipher: MappingCipher, caller: Caller, stands: Standing) -> Kept:
    """Raises Damaged."""
    kept = orjson.loads(opened(cipher, stands.cohort.sealed))
    if kept["query"] is None:
        return Kept(kept["statement"], None)
    # A query for identified views may quote what it matched: so the statement leaves it out.
    if kept["statement"]["query"] is None and not acl.allows(
        caller, stands.directory.child("", None), Right.READ, IDENTIFIED
    ):
        return Kept(kept["statement"], None, withheld=True)
    return Kept(kept["statement"], Query(**kept["query"]))


async def _states(own: Cohorts, caller: Caller, cohort: Cohort) -> dict[State, int]:
    counts: Counter[State] = Counter()
    after = -1
    while after + 1 < cohort.members:
        async with own.turns.turn(caller.payer, _COUNTED, first=False), own.database.acquire() as db:
            page = await members.page(db, cohort.id, after, _COUNTED)
            holdings = await stored_views.pinned(db, [(one.image, one.view, one.version) for one in page])
        if not page:
            break
        counts.update(_state(own.shelf.served, holdings, one) for one in page)
        after = page[-1].number
    return dict(counts)


async def page(own: Cohorts, caller: Caller, path: str, after: int) -> tuple[list[Told], int | None]:
    """Some of a cohort's members by their numbers, those after one; and the last number, None when these were all."""
    async with own.database.snapshot() as db:
        stands = await standing(db, caller, path)
        some = await members.page(db, stands.cohort.id, after, TOLD)
        asked_at = await stands.places(db, some)
        holdings = await stored_views.pinned(db, [(one.image, one.view, one.version) for one in some])
    readable = [one for one in some if may_read(caller, asked_at[one.number], View(one.view))]
    files = await _opened(own, readable, holdings)
    told = []
    for one in some:
        place, state = asked_at[one.number][:1], _state(own.shelf.served, holdings, one)
        if state == "available" and one in readable and one.number not in files:
            state = "lost"
        path_ = [at.lfn for at in place if at.entry is not None and acl.sees(caller, at)]
        told.append(Told(one.number, one.digest, state, files.get(one.number), path_[0] if path_ else None))
    return told, some[-1].number if len(some) == TOLD else None


async def delete(database: Database, changed: ChangedHere, caller: Caller, path: str) -> None:
    """Delete a cohort; it takes the right 'd' on its directory. What it alone pinned goes soon, and what is pulled
    through it ends."""
    async with database.transaction() as db:
        stands = await standing(db, caller, path, Right.DELETE)
        if not await cohorts.cut_off(db, stands.cohort.id):
            raise acl.missing(caller)
        await acts.record(db, [Act(caller, "cohort delete", guid=stands.cohort.guid)])
    changed.everything()


async def _opened(own: Cohorts, some: Sequence[Member], holdings: Holdings) -> dict[int, PinnedFile]:
    """What is kept of these members' bytes, by their numbers, but for what does not open."""
    wanted = [(one.image, View(one.view)) for one in some if (one.image, one.view) in holdings]
    secrets = await own.shelf.secrets(Found(wanted, {key: holdings[key] for key in wanted}, {}, pinned=True))
    files = {}
    for one in some:
        holding = holdings.get((one.image, one.view))
        if holding is None or holding.view is None:
            continue
        if (known := secrets.of(one.image, holding.registration)) is None:
            continue
        with suppress(InvalidTag):
            files[one.number] = facts.opened(one, known.of(holding.view.secret))
    return files


def _state(served: ServedViews, holdings: Holdings, member: Member) -> State:
    if (holding := holdings.get((member.image, member.view))) is None:
        return "shredded"
    if not served.serves_pinned(member.view, member.version):
        return "withdrawn"
    return "available" if holding.view is not None and holding.locality.is_online else "lost"
