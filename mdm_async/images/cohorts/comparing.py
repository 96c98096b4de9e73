"""A cohort beside today: what its query, or its list, would give whoever asks now."""

from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field
from uuid import UUID

from mdm_async.catalog.cohorts import members
from mdm_async.catalog.cohorts.members import Member, Pin
from mdm_async.catalog.namespace.places import Place
from mdm_async.errors import Forbidden, TooLarge
from mdm_async.images.cohorts.choosing import Chosen, in_pages, selected
from mdm_async.images.cohorts.making import Cohorts
from mdm_async.images.cohorts.showing import kept_of
from mdm_async.images.transfers.judging import may_read
from mdm_async.images.transfers.through_cohort import Standing, standing
from mdm_async.names import Caller, View

_PAGE = 1000


@dataclass(slots=True)
class Difference:
    """GUIDs, of what the caller may read: `added` since, `gone` from it, and `changed`, where the entry gives another
    version of the view today, or another image. `same`: how many are as they were."""

    added: list[UUID] = field(default_factory=list)
    gone: list[UUID] = field(default_factory=list)
    changed: list[UUID] = field(default_factory=list)
    same: int = 0


async def compare(own: Cohorts, caller: Caller, path: str) -> Difference:
    """Raises as `standing` and `selected`, Forbidden when the caller may not know the query, TooLarge."""
    cipher = await own.text.cipher()
    async with own.database.acquire() as db:
        stands = await standing(db, caller, path)
    kept = kept_of(cipher, caller, stands)
    if kept.withheld:
        raise Forbidden("what the cohort was selected by is not for you to know")
    today = None
    if kept.query is not None:
        view = View(stands.cohort.view) if stands.cohort.view is not None else None
        today = selected(own.desk, own.shelf, own.turns, caller, kept.query, view)
    pinned: dict[UUID, Pin] = {}
    listed: dict[UUID, Pin] = {}
    async with aclosing(_readable(own, caller, stands)) as pages:
        async for page in pages:
            pinned |= {one.guid: (one.image, one.view, one.version) for one, _ in page}
            if today is None:
                listed |= await _now(
                    own, [chosen for one, place in page if (chosen := _entry_of(one, place))]
                )
    if today is not None:
        async for some in in_pages(today):
            listed |= await _now(own, some)
            if len(listed) > own.limits.cohort_members:
                raise TooLarge(
                    f"the query selects more than the {own.limits.cohort_members} files today that a cohort holds",
                    remedy="narrow it where you ask it anew: mdm meta find",
                )
    return _difference(pinned, listed)


async def _readable(
    own: Cohorts, caller: Caller, stands: Standing
) -> AsyncGenerator[list[tuple[Member, Place]], None]:
    """The members that the caller may read, page by page."""
    after = -1
    while True:
        async with own.turns.turn(caller.payer, _PAGE, first=False), own.database.acquire() as db:
            page = await members.page(db, stands.cohort.id, after, _PAGE)
            asked_at = await stands.places(db, page)
        yield [
            (one, asked_at[one.number][0])
            for one in page
            if may_read(caller, asked_at[one.number], View(one.view))
        ]
        if len(page) < _PAGE:
            return
        after = page[-1].number


def _entry_of(member: Member, place: Place) -> Chosen | None:
    entry = place.entry
    if entry is None or entry.image is None:
        return None
    return Chosen(entry.id, entry.guid, entry.image, View(member.view), member.handed_on)


async def _now(own: Cohorts, some: Sequence[Chosen]) -> dict[UUID, Pin]:
    """What these give today, by their GUIDs, as far as they give anything."""
    async with own.database.acquire() as db:
        found = await own.shelf.find(db, [(one.image, one.view) for one in some])
    now: dict[UUID, Pin] = {}
    for one in some:
        holding = found.holdings.get((one.image, one.view))
        if holding is not None and holding.view is not None and holding.view.record is not None:
            now[one.guid] = (one.image, one.view, holding.view.version)
    return now


def _difference(pinned: Mapping[UUID, Pin], today: Mapping[UUID, Pin]) -> Difference:
    found = Difference(
        [guid for guid in today if guid not in pinned], [guid for guid in pinned if guid not in today]
    )
    for guid in pinned.keys() & today.keys():
        if pinned[guid] == today[guid]:
            found.same += 1
        else:
            found.changed.append(guid)
    return found
