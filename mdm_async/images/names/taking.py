"""What a directory takes in beside DICOM files as PS3.10 has them: told, and set.

`force`: files that break PS3.10, as if each were stored with force. `opaque`: files that are not DICOM; of these there
is no de-identified view, and whoever has the right 'r' reads them as they are.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from mdm_async.catalog.namespace import taking
from mdm_async.catalog.namespace.places import Place
from mdm_async.catalog.namespace.taking import What
from mdm_async.catalog.rights import acl
from mdm_async.catalog.trail import acts
from mdm_async.catalog.trail.acts import Act
from mdm_async.errors import NotADirectory
from mdm_async.images.rights.origins import Origin, lineages, seen_by
from mdm_async.images.surls import existing, resolve_one
from mdm_async.names import Caller, Right
from mdm_async.postgres.database import Connection, Database

_KINDS: Final[tuple[What, ...]] = ("force", "opaque")


@dataclass(frozen=True, slots=True)
class Taking:
    """Whether files of one kind are taken into a directory."""

    yes: bool
    said: bool
    """Some directory says so."""
    origin: Origin | None
    """That directory, when whoever asks may list it."""


async def get_taking(database: Database, caller: Caller, surl: str) -> dict[What, Taking]:
    """Told to whoever sees the directory. Raises NotFound, NotADirectory."""
    async with database.acquire() as db:
        _, place = await resolve_one(db, caller, surl)
        acl.demand_seen(caller, place)
        return await _in_force(db, caller, _directory(caller, place))


async def set_taking(
    database: Database, caller: Caller, surl: str, said: Mapping[What, bool | None]
) -> dict[What, Taking]:
    """What a directory says from now on; None: what is said above. It needs the permission right.

    What lies there stays, and is read as before.
    """
    async with database.transaction() as db:
        place, _ = await existing(db, caller, surl, Right.PERMISSION)
        entry = _directory(caller, place).entry
        assert entry is not None
        for what, yes in said.items():
            await taking.say(db, entry.id, what, yes)
            await acts.record(db, [Act(caller, f"set {what}", guid=entry.guid, details={what: yes})])
        return await _in_force(db, caller, place)


async def _in_force(db: Connection, caller: Caller, place: Place) -> dict[What, Taking]:
    return {what: await _one(db, caller, place, what) for what in _KINDS}


async def _one(db: Connection, caller: Caller, place: Place, what: What) -> Taking:
    assert place.entry is not None
    said = await taking.said_at(db, place.entry.id, what)
    if said is None:
        return Taking(yes=False, said=False, origin=None)
    line = (await lineages(db, [place]))[place.entry.id]
    by = next((one for one in line.places if one.entry is not None and one.entry.id == said.entry), None)
    return Taking(said.yes, said=True, origin=seen_by(caller, by) if by is not None else None)


def _directory(caller: Caller, place: Place) -> Place:
    if place.entry is None:
        raise acl.missing(caller)
    if not place.entry.is_directory:
        raise NotADirectory("what is taken in is said of directories", remedy="name the file's directory")
    return place
