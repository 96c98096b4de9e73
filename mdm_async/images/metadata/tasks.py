"""Select and update in one: entries that match a query get values by which they match no more, and nobody else gets
them too.

Whoever takes needs the right 'g' to an entry, 's', and what the query needs. An entry that somebody else is taking is
passed over. What is to be set is compared with the patients of files as ever, but the choices of a text are nobody's
names, and cost nothing.
"""

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from itertools import chain, repeat
from typing import Final, Protocol
from uuid import UUID

from mdm_async.catalog.metadata import collections, matches, own_values
from mdm_async.catalog.metadata.collections import Attribute
from mdm_async.catalog.metadata.columns import DicomAttribute, OwnAttribute
from mdm_async.catalog.metadata.matches import Known, Row, Wanted
from mdm_async.catalog.metadata.own_values import Stored, Value
from mdm_async.catalog.namespace import locks, places
from mdm_async.catalog.namespace.places import Place
from mdm_async.catalog.rights import acl
from mdm_async.catalog.trail import acts
from mdm_async.catalog.trail.acts import Act
from mdm_async.errors import BadRequest, MdmError
from mdm_async.images.metadata.asked import Asked
from mdm_async.images.metadata.naming import attributes_at
from mdm_async.images.metadata.own_kinds import Given, demand_few, may_reveal, parse_attribute, stored
from mdm_async.images.metadata.rows import Desk, Found, demand_view, known_of, place_of
from mdm_async.images.metadata.values import attribute_named, keep
from mdm_async.images.names.revealing import Named, NameGuard
from mdm_async.names import IDENTIFIED, Caller, Lfn, Right, Scope
from mdm_async.postgres.database import Connection
from mdm_async.querying.conditions import Compared, Condition, Operator, attributes, conjuncts
from mdm_async.querying.grammar import parse
from mdm_async.querying.words import names

MOST_TAKEN: Final = 1000
"""By one request."""
_PAGES: Final = (8, 32, 128, 512, 2048)
"""Entries that an index gives at a time, of which the first that may be taken is: others who take hold the first ones.
The last size goes on."""
_WALKED: Final = 8
"""Pages of all that is visible that are looked at after the first of an index: where most is hidden these are few."""
_PAGE: Final = 512


class Turn(Protocol):
    """A turn at the catalog. `first`: of a request, which is refused when too much waits."""

    def __call__(self, *, first: bool = True) -> AbstractAsyncContextManager[None]: ...


@dataclass(frozen=True, slots=True)
class Taken:
    lfn: Lfn
    row: Row


@dataclass(frozen=True, slots=True)
class _Job:
    """What is to be taken, and what it gets."""

    takers: Sequence[Caller]
    path: Place
    wanted: Wanted
    values: list[tuple[Attribute, Stored]]
    names: list[str]

    @property
    def attributes(self) -> set[int]:
        """Of users' own, those that are asked for and those that are set."""
        asked = {one.id for one in self.wanted.named if isinstance(one, OwnAttribute)}
        return asked | {attribute.id for attribute, _ in self.values}

    @property
    def caller(self) -> Caller:
        """They all have the same rights."""
        return self.takers[0]


async def take(
    desk: Desk,
    guard: NameGuard,
    takers: Callable[[], Sequence[Caller]],
    asked: Asked,
    given: Mapping[str, Given],
    turn: Turn,
) -> list[Taken]:
    """An entry for each of the callers who are there at the first turn, who have the same rights, in their order, and
    which nobody else is given by the same values. Fewer than they are: nothing more that matches is free.

    Each step takes a turn: however much is looked at, others have theirs between. Raises BadQuery, BadRequest,
    NotFound, and as `acl.demand_seen` for the path.
    """
    async with turn():
        taking = _Taking(desk, guard, await _begin(desk, takers(), asked, given))
        candidates = _candidates(desk, taking.job, asked)
        goes_on = await taking.some(candidates)
    while goes_on:
        async with turn(first=False):
            goes_on = await taking.some(candidates)
    if not taking.taken and taking.refused is not None:
        raise taking.refused
    if taking.refused is not None and (refusal := taking.refused.refusal) is not None:
        async with desk.database.transaction() as db:
            await acts.record(db, [Act(taking.job.caller, "take", "refused", guid=refusal.guid)])
    return taking.taken


@dataclass(slots=True)
class _Taking:
    """What has been taken. `refused`: why the first may not have the values, of those that may not."""

    desk: Desk
    guard: NameGuard
    job: _Job
    taken: list[Taken] = field(default_factory=list)
    refused: MdmError | None = None

    async def some(self, candidates: AsyncIterator[Sequence[int]]) -> bool:
        """Take some of the next candidates; whether there may be more to take."""
        wanted = self.job.takers[len(self.taken) :]
        try:
            ids = await anext(candidates, None)
            if ids is None:
                return False
            silent, why = await _silent(self.desk, self.guard, self.job, ids)
            self.refused = self.refused or why
            self.taken += await _take_some(self.desk, self.job, silent, wanted)
        except MdmError:
            if not self.taken:
                raise
            return False  # those that were taken are this caller's
        return len(self.taken) < len(self.job.takers)


async def _begin(desk: Desk, takers: Sequence[Caller], asked: Asked, given: Mapping[str, Given]) -> _Job:
    caller = takers[0]
    demand_few(len(takers), given)
    if asked.view == IDENTIFIED:
        raise BadRequest(
            "nothing is taken by what originals say",
            remedy="ask by a de-identified view, or by mdm meta find",
        )
    async with desk.database.acquire() as db:
        await desk.views.refresh(db)
        demand_view(desk, asked.view)
        place = await place_of(db, caller, asked.path)
        seen = acl.allows(caller, place, Right.GET_METADATA)
        in_force = await collections.at_place(db, place.way) if seen else {}
        known = await attributes_at(db, caller, place, names(asked.query))
    values = []
    for name, value in given.items():
        attribute = attribute_named(in_force, *parse_attribute(name))
        values.append((attribute, stored(attribute, value)))
    condition = parse(asked.query, known)
    by_view = any(isinstance(one, DicomAttribute) for one in attributes(condition))
    wanted = Wanted(condition, (), False, asked.view, by_view or asked.view is not None, desk.views.versions)
    return _Job(takers, place, wanted, values, sorted(given))


async def _candidates(desk: Desk, job: _Job, asked: Asked) -> AsyncIterator[Sequence[int]]:
    """Entries that may match: those that an index gives for a value that they must have, if the query names such a
    one, or else all that the caller may know of. The order follows from the query alone, whichever way they are found:
    what is hidden must not be told by what comes first."""
    probe = _probe(job.wanted.condition)
    if probe is not None:
        async for ids in _by_id(desk, job, asked, *probe):
            yield ids
        return
    found = Found(desk, job.caller, asked.path, job.wanted)
    while (rows := await found.next()) is not None:
        # A page of which nothing matches is a step, too.
        for start in range(0, max(1, len(rows)), _PAGE):
            yield [row.id for row in rows[start : start + _PAGE]]


async def _by_id(
    desk: Desk, job: _Job, asked: Asked, attribute: int, value: Stored
) -> AsyncIterator[Sequence[int]]:
    """In the order of ids: those of an index, or, where little is visible beside much that is not, all of these."""
    after = 0
    for turn, page in enumerate(chain(_PAGES, repeat(_PAGES[-1]))):
        if turn == len(_PAGES):
            found, matching = Found(desk, job.caller, asked.path, job.wanted), list[int]()
            for _ in range(_WALKED):
                if (rows := await found.next()) is None:
                    break
                matching += [row.id for row in rows]
                yield []  # a step, too
            if found.is_over:
                matching.sort()
                for start in range(0, len(matching), _PAGE):
                    yield matching[start : start + _PAGE]
                return
        count = max(page, len(job.takers))
        async with desk.database.acquire() as db:
            ids = await own_values.with_value(db, attribute, value, count, after)
        if ids:
            yield ids
            after = ids[-1]
        if len(ids) < count:
            return


def _probe(condition: Condition) -> tuple[int, Stored] | None:
    for one in conjuncts(condition):
        match one:
            case Compared(OwnAttribute(id=id_), Operator.EQUAL, str() as text):
                return id_, (text, None)
            case Compared(OwnAttribute(id=id_), Operator.EQUAL, float() as number):
                return id_, (None, number)
    return None


_Silent = Sequence[tuple[int, UUID | None]]
"""Entries, each with the image that the values were compared with, if they were."""


async def _silent(
    desk: Desk, guard: NameGuard, job: _Job, ids: Sequence[int]
) -> tuple[_Silent, MdmError | None]:
    """Those of these entries of whose patients the values tell nothing, and why the first of the others may not have
    them."""
    texts = tuple(text for attribute, kept in job.values if (text := may_reveal(attribute, kept)) is not None)
    if not texts:
        return [(id_, None) for id_ in ids], None
    async with desk.database.acquire() as db:
        found = _permitted(job, await places.of_entries(db, ids), ids)
    there = [one.entry for one in found if one.entry is not None]
    told = {one.id: Named(one.image, one.guid, texts) for one in there if one.image is not None}
    verdicts = await guard.compare(job.caller, list(told.values()))
    refused = {id_: why for id_, why in zip(told, verdicts, strict=True) if why is not None}
    silent = [(one.id, one.image) for one in there if one.id not in refused]
    return silent, next(iter(refused.values()), None)


async def _take_some(desk: Desk, job: _Job, silent: _Silent, takers: Sequence[Caller]) -> list[Taken]:
    if not silent:
        return []
    compared = dict(silent)
    async with desk.database.transaction() as db:
        found = {
            one.entry.id: one
            for one in _permitted(job, await places.of_entries(db, list(compared)), list(compared))
            if one.entry is not None and compared[one.entry.id] in (None, one.entry.image)
        }
        shut = await locks.locked(db, found)
        free = [one for id_, one in found.items() if id_ not in shut]
        rows = await _locked(db, known_of(job.caller, job.wanted, free), job.wanted, len(takers))
        if not rows:
            return []
        await keep(db, job.attributes)
        values = [Value(row.id, attribute.id, kept) for row in rows for attribute, kept in job.values]
        await own_values.put(db, values)
        details = {"attributes": job.names}
        by = zip(takers, rows, strict=False)
        await acts.record(db, [Act(taker, "take", guid=row.guid, details=details) for taker, row in by])
    return [Taken(found[row.id].lfn, row) for row in rows]


async def _locked(db: Connection, known: Sequence[Known], wanted: Wanted, most: int) -> list[Row]:
    """The first that match and that nobody else holds. They are asked only once they are locked: whoever has just
    taken one has changed it."""
    rows: list[Row] = []
    rest = [one for one in known if one.readable or not wanted.needs_view]
    while rest and len(rows) < most:
        locked = await own_values.lock_free(db, [(one.id, one.image) for one in rest], most - len(rows))
        if not locked:
            return rows
        rows += await matches.among(db, [one for one in rest if one.id in locked], wanted)
        rest = rest[[one.id for one in rest].index(locked[-1]) + 1 :]
    return rows


def _permitted(job: _Job, found: Mapping[int, Place], ids: Sequence[int]) -> list[Place]:
    """Those at or below the path that the caller may set values of, in the order of the ids."""
    below = Scope(job.path.lfn, frozenset())
    is_directory = job.path.entry is not None and job.path.entry.is_directory
    there = [found[id_] for id_ in ids if id_ in found]
    return [
        one
        for one in there
        if below.covers(one.lfn)
        and (one.lfn != job.path.lfn or not is_directory)
        and acl.allows(job.caller, one, Right.SET_METADATA)
    ]
