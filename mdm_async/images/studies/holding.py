"""Whether a directory holds originals for good, of whoever brings them there: asked about by their UIDs, told nothing
of what lies elsewhere."""

from collections.abc import Collection, Sequence
from enum import Enum
from typing import Final, NamedTuple
from uuid import UUID

from mdm_async.catalog.metadata import blind
from mdm_async.catalog.namespace import paths, places
from mdm_async.catalog.rights import acl
from mdm_async.dicom.equality import comparable
from mdm_async.dicom.indexed import by_keyword
from mdm_async.images.studies.asked import INSTANCE
from mdm_async.keys.derive import BlindIndex
from mdm_async.names import Caller, Lfn, Right
from mdm_async.postgres.database import Connection, Database

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
    database: Database, index: BlindIndex, caller: Caller, directory: Lfn, asked: Sequence[Instance]
) -> list[Held]:
    """Of each, at most `TOGETHER`, whether its original's bytes are stored at or below the directory, where the caller
    may write. Raises Unavailable."""
    uids = [_digest(index, INSTANCE, one.uid) for one in asked]
    async with database.acquire() as db:
        place = await places.resolve_one(db, directory)
        if place.entry is None or not acl.allows(caller, place, Right.WRITE):
            return [Held.NO] * len(asked)
        classes = await _classes(db, place.entry.id, uids)
    held_as = [_digest(index, _CLASS, one.sop_class) for one in asked]
    return [_told(classes.get(uid), one) for uid, one in zip(uids, held_as, strict=True)]


async def _classes(db: Connection, directory: int, uids: Collection[bytes]) -> dict[bytes, set[bytes]]:
    """By instance, what the originals below the directory say of themselves; page by page, for elsewhere others may
    have any number of it."""
    found: dict[bytes, set[bytes]] = {}
    after = dict.fromkeys(uids, UUID(int=0))
    while after:
        each = max(_PAGE // len(after), 1)
        page = await blind.with_values(db, _TAG, after, each)
        some = {image for of_one in page.values() for image in of_one}
        below = set((await paths.own_entries_below(db, some, directory)).values())
        said = await blind.of_stored(db, below, [_TAG, by_keyword()[_CLASS].tag])
        for uid, of_one in page.items():
            for image in said.keys() & set(of_one):
                found.setdefault(uid, set()).update(said[image])
        after = {uid: of_one[-1] for uid, of_one in page.items() if len(of_one) == each}
    return found


def _told(said: set[bytes] | None, sop_class: bytes) -> Held:
    if said is None:
        return Held.NO
    return Held.YES if sop_class in said else Held.OTHER_CLASS


def _digest(index: BlindIndex, keyword: str, value: str) -> bytes:
    row = by_keyword()[keyword]
    return index.digest(row.tag, comparable(row, value))
