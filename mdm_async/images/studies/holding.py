"""Whether a directory holds originals for good, of whoever brings them there: asked about by their UIDs, told nothing
of what lies elsewhere."""

from collections.abc import Sequence
from enum import Enum
from typing import Final, NamedTuple

from mdm_async.catalog.metadata import blind
from mdm_async.catalog.metadata.candidates import Probe, candidates
from mdm_async.catalog.metadata.columns import BlindAttribute
from mdm_async.catalog.namespace import places
from mdm_async.catalog.rights import acl
from mdm_async.dicom.equality import comparable
from mdm_async.dicom.indexed import by_keyword
from mdm_async.images.studies.asked import INSTANCE
from mdm_async.keys.derive import BlindIndex
from mdm_async.names import Caller, Lfn, Right, Scope
from mdm_async.postgres.database import Database
from mdm_async.querying.attributes import Kind

TOGETHER: Final = 100
"""Instances that are asked about at once."""
_MOST: Final = 5_000
"""Entries that these may have, in all the archive."""
_CLASS: Final = "SOPClassUID"


class Instance(NamedTuple):
    sop_class: str
    uid: str


class Held(Enum):
    """What is told of an instance."""

    YES = "yes"
    NO = "no"
    OTHER_CLASS = "another class"
    UNKNOWN = "unknown"
    """More entries have its UID than are looked at."""


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
        attribute = BlindAttribute(INSTANCE, Kind.UID, by_keyword()[INSTANCE].tag)
        probe = Probe(0, attribute, "=", tuple(one.hex() for one in dict.fromkeys(uids)))
        found = await candidates(db, probe, (), _MOST)
        if found is None and len(asked) == 1:
            return [Held.UNKNOWN]
        if found is not None:
            below = Scope(directory, frozenset())
            images = {
                one.entry.image for one in found.values() if one.entry is not None and below.covers(one.lfn)
            }
            tags = [by_keyword()[name].tag for name in (INSTANCE, _CLASS)]
            said = await blind.of_stored(db, [one for one in images if one is not None], tags)
    if found is None:
        half = len(asked) // 2
        return [
            each
            for some in (asked[:half], asked[half:])
            for each in await held(database, index, caller, directory, some)
        ]
    classes: dict[bytes, set[bytes]] = {}
    for digests in said.values():
        for uid in digests & set(uids):
            classes.setdefault(uid, set()).update(digests)
    return [
        _told(classes.get(uid), _digest(index, _CLASS, one.sop_class))
        for one, uid in zip(asked, uids, strict=True)
    ]


def _told(said: set[bytes] | None, sop_class: bytes) -> Held:
    if said is None:
        return Held.NO
    return Held.YES if sop_class in said else Held.OTHER_CLASS


def _digest(index: BlindIndex, keyword: str, value: str) -> bytes:
    row = by_keyword()[keyword]
    return index.digest(row.tag, comparable(row, value))
