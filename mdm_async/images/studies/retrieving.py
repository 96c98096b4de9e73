"""Whether all instances of an answer can be sent, found out before the first of them is: an answer that has begun can
only break off."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from math import inf

from mdm_async.catalog.holdings import readiness
from mdm_async.catalog.holdings.readiness import Readiness
from mdm_async.catalog.metadata import studies
from mdm_async.catalog.metadata.matches import Known
from mdm_async.catalog.metadata.studies import Row, Sought
from mdm_async.catalog.namespace import places
from mdm_async.dicom.indexed import Level
from mdm_async.images.metadata.rows import Desk
from mdm_async.images.rights.delivery import demands_sealed
from mdm_async.images.studies.asked import STUDY, known
from mdm_async.images.studies.searching import OF_RETRIEVED
from mdm_async.names import View
from mdm_async.postgres.database import Connection
from mdm_async.settings import DeliverySettings

_Copy = tuple[int, View]
"""An entry's id, and its view."""


@dataclass(frozen=True, slots=True)
class Retrieved:
    """Instances in order. `odd`: the first that cannot be sent in the clear as things are, if there is one; `largest`:
    that with the most bytes beside its pixels, or one of which they are not known."""

    rows: Sequence[Row]
    odd: Row | None
    largest: Row


async def retrieved(desk: Desk, delivery: DeliverySettings, rows: Sequence[Row]) -> Retrieved:
    """Each by the oldest of its entries by which it can be sent, or the oldest of all where there is none."""
    async with desk.database.acquire() as db:
        found = await _sendable(db, desk, delivery, [row.entries[0] for row in rows])
        odd = [row for row in rows if row.entries[0] not in found]
        others = [copy for row in odd for copy in row.entries[1:]]
        if others:
            more = await _sendable(db, desk, delivery, others)
            chosen = [copy for row in odd if (copy := _first(row.entries, more)) is not None]
            known_ = [Known(id_, more[id_, view].image, view, True) for id_, view in chosen]
            told = {_uids(row): row for row in (await studies.of_known(db, known_, _each(desk, known_))).rows}
            rows = [told.get(_uids(row), row) for row in rows]
            found = {**found, **more}
    return Retrieved(
        rows,
        next((row for row in rows if row.entries[0] not in found), None),
        max(rows, key=lambda row: _size(found.get(row.entries[0]))),
    )


def _size(of: Readiness | None) -> float:
    if of is None:
        return 0
    return of.beside if of.beside is not None else inf


async def _sendable(
    db: Connection, desk: Desk, delivery: DeliverySettings, copies: Sequence[_Copy]
) -> dict[_Copy, Readiness]:
    found = await readiness.of_entries(db, copies, desk.views.versions)
    above = await places.of_entries(db, {one.directory for one in found.values()})
    return {
        (id_, View(view)): one
        for (id_, view), one in found.items()
        if one.ready
        and one.directory in above
        and not demands_sealed(delivery, above[one.directory], View(view))
    }


def _first(copies: Iterable[_Copy], among: Mapping[_Copy, Readiness]) -> _Copy | None:
    return next((copy for copy in copies if copy in among), None)


def _each(desk: Desk, known_: Sequence[Known]) -> Sought:
    return Sought(
        Level.INSTANCE, known(STUDY), (), None, desk.views.versions, True, 0, len(known_), OF_RETRIEVED
    )


def _uids(row: Row) -> tuple[str, str, str]:
    return row.study, row.series, row.instance
