"""Where the keys of images are: which key stores have them, and what is lacking made good."""

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from mdm_async.catalog.holdings import generations
from mdm_async.catalog.holdings.generations import Generation
from mdm_async.catalog.namespace.entries import Entry
from mdm_async.catalog.namespace.places import Place
from mdm_async.catalog.rights import acl
from mdm_async.catalog.trail import acts
from mdm_async.catalog.trail.acts import Act
from mdm_async.errors import IsADirectory, MdmError
from mdm_async.images.surls import resolve
from mdm_async.keys.store import KeyStore
from mdm_async.names import Caller, Right, Surl
from mdm_async.postgres.database import Connection, Database


@dataclass(frozen=True, slots=True)
class ImageKeys:
    """The keys of a file's image. `stores`: whether each has its own; None of one that is away."""

    guid: UUID
    generation: Generation
    stores: dict[str, bool | None]


_Found = list[tuple[str, Entry | MdmError]]


async def listing(
    database: Database, keys: KeyStore, caller: Caller, surls: Sequence[str]
) -> list[tuple[str, ImageKeys | MdmError]]:
    """Of each file for which the caller has the right `g`."""
    async with database.acquire() as db:
        found = await _files(db, caller, surls, Right.GET_METADATA)
    return await _told(database, keys, caller, found)


async def made_good(
    database: Database, keys: KeyStore, caller: Caller, surls: Sequence[str]
) -> list[tuple[str, ImageKeys | MdmError]]:
    """As `listing`, once stores that answer were given what they lacked; it takes `s`, and harms no key."""
    async with database.acquire() as db:
        found = await _files(db, caller, surls, Right.SET_METADATA)
        known = await generations.generations(db, _images(found))
    await keys.make_good([one.registration for one in known.values()])
    async with database.transaction() as db:
        done = [one for _, one in found if not isinstance(one, MdmError) and one.image in known]
        await acts.record(db, [Act(caller, "keys register", guid=one.guid) for one in done])
    return await _told(database, keys, caller, found)


async def _told(
    database: Database, keys: KeyStore, caller: Caller, found: _Found
) -> list[tuple[str, ImageKeys | MdmError]]:
    async with database.acquire() as db:
        known = await generations.generations(db, _images(found))
    held = await keys.holders([one.registration for one in known.values()])

    def told(entry: Entry | MdmError) -> ImageKeys | MdmError:
        if isinstance(entry, MdmError):
            return entry
        if entry.image not in known:
            return acl.missing(caller)
        keyed = known[entry.image]
        stores = {name: None if has is None else keyed.registration in has for name, has in held.items()}
        return ImageKeys(entry.guid, keyed, stores)

    return [(surl, told(entry)) for surl, entry in found]


async def _files(db: Connection, caller: Caller, surls: Sequence[str], right: Right) -> _Found:
    resolved = await resolve(db, caller, surls)
    return [(surl, _file(caller, one, right)) for surl, one in zip(surls, resolved, strict=True)]


def _file(caller: Caller, found: tuple[Surl, Place] | MdmError, right: Right) -> Entry | MdmError:
    if isinstance(found, MdmError):
        return found
    _, place = found
    try:
        acl.demand(caller, place, right)
    except MdmError as why:
        return why
    if place.entry is None:
        return acl.missing(caller)
    if place.entry.is_directory:
        return IsADirectory("a directory has no keys", remedy="name its files")
    return place.entry


def _images(found: _Found) -> list[UUID]:
    return [one.image for _, one in found if not isinstance(one, MdmError) and one.image is not None]
