"""Whether a directory holds originals for good, of whoever brings them there: asked about by their UIDs, told nothing
of what lies elsewhere."""

from collections.abc import Collection, Sequence
from enum import Enum
from typing import Final, NamedTuple
from uuid import UUID

from mdm_async.blobs.store import BlobStore
from mdm_async.catalog.metadata import blind
from mdm_async.catalog.namespace import paths, places
from mdm_async.catalog.rights import acl
from mdm_async.dicom.equality import comparable
from mdm_async.dicom.indexed import by_keyword
from mdm_async.images.parts.presence import present
from mdm_async.images.studies.asked import INSTANCE
from mdm_async.keys.derive import BlindIndex
from mdm_async.names import Caller, Lfn, Right
from mdm_async.postgres.database import Database

TOGETHER: Final = 100
"""Instances that are asked about at once."""
_PAGE: Final = 500
"""Images that are looked at at once."""
_CLASS: Final = "SOPClassUID"
_TAG: Final = by_keyword()[INSTANCE].tag


class Instance(NamedTuple):
    sop_class: str
    uid: str


class Held(Enum):
    """What is told of an instance."""

    YES = "yes"
    NO = "no"
    OTHER_CLASS = "another class"


async def held(
    database: Database,
    store: BlobStore,
    index: BlindIndex,
    caller: Caller,
    directory: Lfn,
    asked: Sequence[Instance],
) -> list[Held]:
    """Of each, at most `TOGETHER`, whether its original's bytes are stored at or below the directory, where the caller
    may write: they lie in the store, and not for a while alone, as what is cached of an archive. Raises Unavailable."""
    uids = [_digest(index, INSTANCE, one.uid) for one in asked]
    async with database.acquire() as db:
        place = await places.resolve_one(db, directory)
        if place.entry is None or not acl.allows(caller, place, Right.WRITE):
            return [Held.NO] * len(asked)
    said = await _said(database, place.entry.id, uids)
    there = await present(database, store, {image for of_one in said.values() for image in of_one})
    classes = {
        uid: set().union(*kept)
        for uid, of_one in said.items()
        if (kept := [classes for image, classes in of_one.items() if image in there])
    }
    held_as = [_digest(index, _CLASS, one.sop_class) for one in asked]
    return [_told(classes.get(uid), one) for uid, one in zip(uids, held_as, strict=True)]


async def _said(
    database: Database, directory: int, uids: Collection[bytes]
) -> dict[bytes, dict[UUID, set[bytes]]]:
    """By instance, what each original below the directory says of itself; page by page, for elsewhere others may have
    any number of it: no connection is held from one to the next."""
    found: dict[bytes, dict[UUID, set[bytes]]] = {}
    after = dict.fromkeys(uids, UUID(int=0))
    while after:
        each = max(_PAGE // len(after), 1)
        async with database.acquire() as db:
            page = await blind.with_values(db, _TAG, after, each)
            some = {image for of_one in page.values() for image in of_one}
            below = set((await paths.own_entries_below(db, some, directory)).values())
            said = await blind.of_stored(db, below, [_TAG, by_keyword()[_CLASS].tag])
        for uid, of_one in page.items():
            for image in said.keys() & set(of_one):
                found.setdefault(uid, {})[image] = said[image]
        after = {uid: of_one[-1] for uid, of_one in page.items() if len(of_one) == each}
    return found


def _told(said: set[bytes] | None, sop_class: bytes) -> Held:
    if said is None:
        return Held.NO
    return Held.YES if sop_class in said else Held.OTHER_CLASS


def _digest(index: BlindIndex, keyword: str, value: str) -> bytes:
    row = by_keyword()[keyword]
    return index.digest(row.tag, comparable(row, value))
