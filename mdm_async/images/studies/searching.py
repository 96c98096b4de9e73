"""Studies, series and instances that match, of what the caller may see.

What is asked for decides what is looked at, and nothing that is hidden: where a UID or the like says which are meant,
an index leads to all that match; else files are looked at that are visible. Both up to a bound of what may be seen, and
it is told when that cut the answer.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from mdm_async.catalog.metadata import studies
from mdm_async.catalog.metadata.candidates import Probe, candidates, probes
from mdm_async.catalog.metadata.columns import DicomAttribute
from mdm_async.catalog.metadata.matches import Known
from mdm_async.catalog.metadata.studies import Row, Rows, Sought
from mdm_async.catalog.namespace.places import Place
from mdm_async.catalog.rights import acl, visible
from mdm_async.dicom.indexed import Level
from mdm_async.errors import BadQuery, NotFound, TooLarge
from mdm_async.images.metadata.rows import Desk, demand_view, place_of
from mdm_async.images.studies.asked import INSTANCE, SERIES, STUDY, Asked, Uids, known
from mdm_async.images.studies.originals import of_originals
from mdm_async.names import IDENTIFIED, Caller, Right, Scope, View
from mdm_async.postgres.database import Connection
from mdm_async.querying.conditions import Condition, Every, attributes, conjuncts, every

MOST_FILES: Final = 20_000
"""Visible ones, looked at for one answer where nothing says which are meant."""
MOST_MEANT: Final = 50_000
"""Instances that match, where something does."""
MOST: Final = 5_000
"""Told in one answer."""
HELD: Final = 16 << 20
"""Bytes that an answer may take in memory, as rows and as it is told: there are as many rows in it as that gives."""
_OF_ROW: Final = 2048
_OF_FIELD: Final = 512
"""Bytes that a row takes, and each field of it."""
WEIGHT: Final = 64
"""A search takes as long as so many files of a request."""
MOST_RETRIEVED: Final = 20_000
"""Instances that are retrieved at once."""
_MEANING: Final = frozenset(
    {
        STUDY,
        SERIES,
        INSTANCE,
        "FrameOfReferenceUID",
        "PatientID",
        "PatientName",
        "AccessionNumber",
        "StudyDate",
    }
)
"""Attributes whose very value says which are meant: so few have it that they are looked for in all the archive."""
_FEW: Final = 2_000
"""Candidates of an index that are asked about one by one."""
_SEEN: Final = 1_000
"""Files that a caller sees which are all looked at, before an index is asked that has others' too."""
_PROBES: Final = 3
OF_RETRIEVED: Final = ("TransferSyntaxUID",)
"""What is told of instances that are retrieved: more would be too much of so many."""
_DEPTHS: Final = {Level.PATIENT: 0, Level.STUDY: 1, Level.SERIES: 2, Level.INSTANCE: 3}


def weight(told: Sequence[str]) -> int:
    """Bytes of memory that a row takes of which this is told."""
    return _OF_ROW + _OF_FIELD * len(told)


async def search(desk: Desk, caller: Caller, asked: Asked) -> Rows:
    """One page of those that match, in the order of their UIDs. It takes `g` on the entries and `r` on their views.

    Raises BadQuery, BadRequest, and as `place_of`.
    """
    all_of, among = asked.conditions()
    limit = MOST if asked.limit is None else min(asked.limit, MOST)
    if asked.view == IDENTIFIED:
        demand_view(desk, asked.view)
        found = await of_originals(
            desk, caller, asked, all_of, among, limit, most=MOST_RETRIEVED, unseen=False
        )
        return uncounted(found) if found.cut else found
    condition = every(all_of) if all_of else known(STUDY)
    sought = Sought(asked.level, condition, among, asked.view, (), False, asked.offset, limit, asked.told)
    found = await _found(desk, caller, asked.path, sought)
    return uncounted(found) if found.cut else found


def uncounted(found: Rows) -> Rows:
    """Where not all was looked at, nobody knows how many there are, or of which kinds."""
    rows = [replace(row, count_of_series=None, count=None, modalities=(), classes=()) for row in found.rows]
    return replace(found, rows=rows)


async def instances(
    desk: Desk,
    caller: Caller,
    within: Sequence[Condition],
    path: str | None,
    view: View | None,
    told: Sequence[str] = OF_RETRIEVED,
) -> Sequence[Row]:
    """All instances of which this holds, to be read: it takes `r` on their views alone.

    Of several entries that have one UID, the oldest. Raises NotFound, the same for what is hidden and what is not
    there; BadQuery where nothing is to hold; TooLarge.
    """
    if not within:
        raise BadQuery("nothing says which instances are meant", remedy="name a study, or a patient")
    if view == IDENTIFIED:
        demand_view(desk, view)
        found = await of_originals(
            desk,
            caller,
            Asked(Level.INSTANCE, Uids(), path=path, view=view, told=told),
            within,
            (),
            MOST_RETRIEVED,
            most=MOST_RETRIEVED,
            unseen=True,
        )
    else:
        condition = every(within)
        sought = Sought(Level.INSTANCE, condition, (), view, (), True, 0, MOST_RETRIEVED, told)
        found = await _found(desk, caller, path, sought)
    if found.cut or found.more:
        raise TooLarge(
            f"more than {MOST_RETRIEVED} instances, or too much to look through for them",
            remedy="ask series by series, or name a folder with ?path=",
        )
    if not found.rows:
        raise _missing(caller)
    return found.rows


def _missing(caller: Caller) -> NotFound:
    why = acl.missing(caller)
    why.detail = "there is nothing with these UIDs, or nothing that this caller may read"
    return why


async def _found(desk: Desk, caller: Caller, path: str | None, sought: Sought) -> Rows:
    async with desk.database.acquire() as db:
        await desk.views.refresh(db)
        demand_view(desk, sought.view)
        place = await place_of(db, caller, path)
        found = await _at(db, desk, caller, place, replace(sought, versions=desk.views.versions))
        shown = sought.view or place.default_view
        return replace(found, identified=shown == IDENTIFIED and acl.sees(caller, place))


async def _at(db: Connection, desk: Desk, caller: Caller, place: Place, sought: Sought) -> Rows:
    if place.entry is not None and not place.entry.is_directory:
        return await studies.of_known(db, _known(caller, sought, [place]), sought)
    meant = _meant(sought)
    some = await _few(db, caller, place, sought, meant)
    if some is not None:
        return await studies.of_known(db, some, sought)
    verdict = await desk.verdicts.of(db, caller, place.newest_acl)
    seen = await visible.below(db, caller, verdict, place)
    if meant:
        # Who sees few files waits for none that he does not see, however many have the value.
        found = await studies.of_visible(db, seen, sought, min(_SEEN, MOST_MEANT))
        if not found.cut:
            return found
        return await studies.of_candidates(db, seen, meant[0], sought, MOST_MEANT)
    return await studies.of_visible(db, seen, sought, MOST_FILES)


def _meant(sought: Sought) -> list[Probe]:
    """Looks into indexes of which each gives all that is meant."""
    return [
        one
        for one in probes(_above(sought))
        if one.operator == "="
        and isinstance(one.attribute, DicomAttribute)
        and one.attribute.row.keyword in _MEANING
    ][:_PROBES]


async def _few(
    db: Connection, caller: Caller, place: Place, sought: Sought, meant: Sequence[Probe]
) -> list[Known] | None:
    """All that may match and the caller may know of, where an index tells that they are few."""
    below = Scope(place.lfn, frozenset())
    for probe in meant:
        found = await candidates(db, probe, sought.versions, min(_FEW, MOST_MEANT))
        if found is not None:
            return _known(caller, sought, [one for one in found.values() if below.covers(one.lfn)])
    return None


def _above(sought: Sought) -> Condition:
    """As much of the condition as holds of all of a study, or a series, alike: others of it are counted too."""
    most = _DEPTHS[sought.level]
    kept = [
        one
        for one in conjuncts(sought.condition)
        if all(isinstance(of, DicomAttribute) and _DEPTHS[of.row.level] <= most for of in attributes(one))
    ]
    return Every(tuple(kept))


def _known(caller: Caller, sought: Sought, found: Sequence[Place]) -> list[Known]:
    known = []
    for place in found:
        entry = place.entry
        if entry is None or entry.image is None or not acl.allows(caller, place, Right.READ, sought.view):
            continue
        if sought.unseen or acl.allows(caller, place, Right.GET_METADATA):
            known.append(Known(entry.id, entry.image, sought.view or place.default_view, True))
    return known
