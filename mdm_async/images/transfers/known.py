"""What is known of an instance that comes: files of its SOP Instance UID below the directory that it lands in.

They are found by keyed digests of what originals say, and compared by what was noted when they came.
"""

from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum, auto
from typing import Final
from uuid import UUID

from mdm_async.blobs.store import BlobStore
from mdm_async.catalog.holdings import bringers
from mdm_async.catalog.metadata import blind
from mdm_async.catalog.namespace import locks, paths, places
from mdm_async.catalog.namespace.places import Place
from mdm_async.catalog.rights import acl
from mdm_async.dicom.dictionary import tag_of
from mdm_async.images.intake.draft import Draft
from mdm_async.images.parts.presence import present
from mdm_async.images.parts.record import ViewRecord
from mdm_async.images.reading.shelf import Shelf
from mdm_async.images.views.blinding import ISSUED
from mdm_async.names import Caller, Lfn, Right, split
from mdm_async.postgres.database import Connection, Database

_INSTANCE: Final = tag_of("SOPInstanceUID")
_STUDY: Final = tag_of("StudyInstanceUID")
_SERIES: Final = tag_of("SeriesInstanceUID")
_PATIENT: Final = tag_of("PatientID")
_PAGE: Final = 100
"""Images that are looked for at once. All of a value are: whoever may write elsewhere could put any number before those
that count."""
_MOST: Final = 100
"""Files that may be replaced, of one SOP Instance UID, that are compared."""
_OF_STUDY: Final = 50
"""Files of one study, below the directory, that are looked at."""


class Alike(Enum):
    """How a file that is there is to one that comes."""

    SAME = auto()
    """The same bytes, or the same data set in another transfer syntax."""
    CONTENT = auto()
    """The same pixels, and another head."""
    OTHER = auto()


@dataclass(frozen=True, slots=True)
class Known:
    """A file of the same SOP Instance UID. `is_own`: its owner brings it again; `of_patient`: of the same Patient ID
    and issuer; `of_series`: and of the same study and series."""

    place: Place
    image: UUID
    is_own: bool
    of_patient: bool
    of_series: bool


async def lock(db: Connection, draft: Draft) -> None:
    """Until this transaction ends, nobody else files an instance of this SOP Instance UID."""
    if (digest := draft.found_by.get(_INSTANCE)) is not None:
        await blind.lock(db, _INSTANCE, digest)


async def known(db: Connection, caller: Caller, base: int, draft: Draft, owner: str) -> list[Known]:
    """Those below a directory (`base`) that the caller may replace: their owner, who may still write there; and
    whoever has the rights `w` and `d`. The oldest comes first."""
    instance = draft.found_by.get(_INSTANCE)
    if instance is None:
        return []
    files: dict[int, Known] = {}
    async for found in _pages(db, _INSTANCE, instance):
        if below := await paths.own_entries_below(db, found, base):
            files |= await _replaceable(db, caller, draft, owner, below)
        if len(files) >= _MOST:
            break
    return [files[id_] for id_ in sorted(files)][:_MOST]


async def _replaceable(
    db: Connection, caller: Caller, draft: Draft, owner: str, below: Mapping[int, UUID]
) -> dict[int, Known]:
    """Those of these entries, each with its image, that the caller may replace."""
    by_id = await places.of_entries(db, below)
    locked = await locks.locked(db, by_id)
    found = set(below.values())
    own = await bringers.brought_by(db, found, owner)
    of_patient = await _of_patient(db, found, draft)
    of_series = of_patient
    for tag in (_STUDY, _SERIES):
        of_series = await blind.having(db, of_series, tag, draft.found_by.get(tag))
    files: dict[int, Known] = {}
    for id_, place in by_id.items():
        if place.entry is None or place.entry.image is None or id_ in locked:
            continue
        image = place.entry.image
        one = Known(place, image, image in own, image in of_patient, image in of_series)
        if acl.may_create(caller, place) and (one.is_own or acl.allows(caller, place, Right.DELETE)):
            files[id_] = one
    return files


async def _pages(db: Connection, tag: int, digest: bytes) -> AsyncIterator[list[UUID]]:
    """All images whose originals have this value of an attribute."""
    page = await blind.with_value(db, tag, digest, UUID(int=0), _PAGE)
    while page:
        yield page
        if len(page) < _PAGE:
            return
        page = await blind.with_value(db, tag, digest, page[-1], _PAGE)


async def _of_patient(db: Connection, found: Collection[UUID], draft: Draft) -> set[UUID]:
    """Those of the same Patient ID and issuer; of which no issuer was noted, of the same Patient ID."""
    same = await blind.having(db, found, ISSUED, draft.found_by.get(ISSUED))
    if len(same) < len(found):
        untold = await blind.having(db, found, ISSUED, None)
        same |= await blind.having(db, untold, _PATIENT, draft.found_by.get(_PATIENT))
    return same


async def alike(database: Database, shelf: Shelf, store: BlobStore, draft: Draft, image: UUID) -> Alike:
    """No connection may be held: the key store is asked, and the blob store: what is damaged here is not the same, and
    has a new version. Raises Unavailable."""
    there = await shelf.original(database, image)
    found = _likeness(draft, there) if there is not None else Alike.OTHER
    if found is Alike.SAME and image not in await present(database, store, [image]):
        return Alike.CONTENT
    return found


def _likeness(draft: Draft, there: ViewRecord) -> Alike:
    if there.sha256 == draft.sha256:
        return Alike.SAME
    mine, other = draft.sameness, there.sameness
    if mine is None or other is None:
        return Alike.OTHER
    if mine.data_set == other.data_set:
        return Alike.SAME
    return Alike.CONTENT if mine.content is not None and mine.content == other.content else Alike.OTHER


def chosen(files: Sequence[Known], likeness: Mapping[UUID, Alike], lfn: Lfn) -> tuple[Known, Alike] | None:
    """Which of them it is, come again; None: it is none of them. Whoever is not the owner of the same learns nothing
    of that: it is as any that has the same content.
    """
    same = [one for one in files if likeness[one.image] is Alike.SAME and one.is_own]
    if same:
        return same[0], Alike.SAME
    alike = [one for one in files if likeness[one.image] is not Alike.OTHER]
    # The one of its own name first, then one beside it.
    alike.sort(key=lambda one: (one.place.lfn != lfn, split(one.place.lfn)[0] != split(lfn)[0]))
    return (alike[0], Alike.CONTENT) if alike else None


async def study_has_other_patient(db: Connection, base: int, draft: Draft) -> bool:
    """Whether some of the study's files below a directory have another Patient ID, or issuer; some of them are looked
    at."""
    study, seen = draft.found_by.get(_STUDY), 0
    if study is None:
        return False
    async for found in _pages(db, _STUDY, study):
        others = set(found) - await _of_patient(db, found, draft)
        if others and await paths.own_entries_below(db, others, base):
            return True
        if len(found) == _PAGE:  # Of most studies that is all, and where the rest lies is not looked at.
            seen += len(await paths.own_entries_below(db, found, base))
        if seen >= _OF_STUDY:
            break
    return False
