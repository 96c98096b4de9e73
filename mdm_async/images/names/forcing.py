"""Whether a directory takes files that break PS3.10, as if each were stored with force: told, and set."""

from dataclasses import dataclass

from mdm_async.catalog.namespace import forcing
from mdm_async.catalog.namespace.places import Place
from mdm_async.catalog.rights import acl
from mdm_async.catalog.trail import acts
from mdm_async.catalog.trail.acts import Act
from mdm_async.errors import NotADirectory, NotFound
from mdm_async.images.rights.origins import Origin, lineages, seen_by
from mdm_async.images.surls import existing, resolve_one
from mdm_async.names import Caller, Right
from mdm_async.postgres.database import Connection, Database


@dataclass(frozen=True, slots=True)
class Forcing:
    """What is in force at a directory."""

    force: bool
    said: bool
    """Some directory says so."""
    origin: Origin | None
    """That directory, when whoever asks may list it."""


async def get_forcing(database: Database, caller: Caller, surl: str) -> Forcing:
    """Told to whoever sees the directory. Raises NotFound, NotADirectory."""
    async with database.acquire() as db:
        _, place = await resolve_one(db, caller, surl)
        acl.demand_seen(caller, place)
        return await _in_force(db, caller, _directory(place))


async def set_forcing(database: Database, caller: Caller, surl: str, force: bool | None) -> Forcing:
    """What a directory says from now on; None: what is said above. It needs the permission right."""
    async with database.transaction() as db:
        place, _ = await existing(db, caller, surl, Right.PERMISSION)
        entry = _directory(place).entry
        assert entry is not None
        await forcing.set_force(db, entry.id, force)
        await acts.record(db, [Act(caller, "set force", guid=entry.guid, details={"force": force})])
        return await _in_force(db, caller, place)


async def _in_force(db: Connection, caller: Caller, place: Place) -> Forcing:
    assert place.entry is not None
    said = await forcing.force_at(db, place.entry.id)
    if said is None:
        return Forcing(force=False, said=False, origin=None)
    line = (await lineages(db, [place]))[place.entry.id]
    by = next((one for one in line.places if one.entry is not None and one.entry.id == said.entry), None)
    return Forcing(said.force, said=True, origin=seen_by(caller, by) if by is not None else None)


def _directory(place: Place) -> Place:
    if place.entry is None:
        raise NotFound()
    if not place.entry.is_directory:
        raise NotADirectory("what is taken in is said of directories", remedy="name the file's directory")
    return place
