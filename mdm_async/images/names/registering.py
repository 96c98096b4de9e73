"""Names without bytes: files that are known to be elsewhere, as a PACS knows them."""

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID, uuid4

from mdm_async.catalog.holdings import sources
from mdm_async.catalog.namespace import entries
from mdm_async.catalog.namespace.places import Place
from mdm_async.catalog.rights import acl
from mdm_async.catalog.trail import acts
from mdm_async.catalog.trail.acts import Act
from mdm_async.errors import BadPath, Exists, MdmError, NotFound
from mdm_async.images.parts import pacs_source
from mdm_async.images.parts.pacs_source import PacsSource
from mdm_async.images.surls import resolve
from mdm_async.keys.store import IDENTITY, KeyStore, new_secrets
from mdm_async.names import Caller, Surl, split
from mdm_async.postgres.database import Connection, Database


@dataclass(frozen=True, slots=True)
class Registration:
    """A name, and where the bytes would come from."""

    surl: str
    source: PacsSource


async def register(
    database: Database, keys: KeyStore, caller: Caller, wanted: Sequence[Registration]
) -> list[tuple[str, UUID | MdmError]]:
    """Give names to images that are not here: NEARLINE files, each with its GUID. It needs `w` as an upload does.

    One that fails fails no other: Exists when the name is taken, NotFound when its directory is not there.
    """
    results: list[tuple[str, UUID | MdmError]] = []
    async with database.transaction() as db:
        found = await resolve(db, caller, [one.surl for one in wanted])
        for one, place in zip(wanted, found, strict=True):
            try:
                results.append((one.surl, await _register(db, keys, caller, place, one.source)))
            except MdmError as why:
                results.append((one.surl, why))
    return results


async def _register(
    db: Connection, keys: KeyStore, caller: Caller, found: tuple[Surl, Place] | MdmError, source: PacsSource
) -> UUID:
    if isinstance(found, MdmError):
        raise found
    surl, place = found
    if surl.view is not None or surl.guid is not None:
        raise BadPath("a file is registered without naming a view or a GUID", remedy="name it by its path")
    acl.demand_create(caller, place)
    if place.entry is not None:
        raise Exists()
    if place.parent is None:
        raise NotFound("the directory does not exist", remedy="make it first: mdm mkdir -p")
    image, id_, new = uuid4(), uuid4(), new_secrets()
    sealed = pacs_source.seal(source, new.of(IDENTITY), image, id_)
    # What is begun for a name that somebody else takes meanwhile is undone.
    async with db.transaction():
        await sources.register(db, image, new.registration, id_, sealed)
        await keys.register(db, image, new)
        guid = await entries.add_file(db, place.parent.id, split(place.lfn)[1], image)
        if guid is None:
            raise Exists()
    await acts.record(db, [Act(caller, "register", guid=guid)])
    return guid
