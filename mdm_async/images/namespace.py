"""The verbs on names: list, make, remove, move, and ask for one's rights."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from uuid import UUID

from mdm_async.catalog import acl, audit, entries, images
from mdm_async.catalog.audit import Act
from mdm_async.catalog.database import Connection
from mdm_async.catalog.entries import Entry, Place
from mdm_async.errors import BadRequest, Exists, MdmError, NotADirectory, NotFound, ViewPending, ViewRefused
from mdm_async.images import view
from mdm_async.images.archive import Archive
from mdm_async.images.record import ViewRecord
from mdm_async.names import ROOT, Caller, Lfn, Right, Surl, View, join, parse_surl, split


@dataclass(frozen=True, slots=True)
class Detail:
    """What a listing tells of an entry; `size` (bytes) and `adler32` are those of one view, when it is ready."""

    lfn: Lfn
    entry: Entry
    view: View | None = None
    state: str | None = None
    reason: str | None = None
    size: int | None = None
    adler32: int | None = None
    children: list["Detail"] = field(default_factory=list)


async def ls(
    archive: Archive,
    caller: Caller,
    surls: Sequence[str],
    *,
    offset: int = 0,
    count: int = 1000,
    depth: int = 1,
) -> list[tuple[str, Detail | MdmError]]:
    """Each SURL's own detail and, of a directory, a page of what is in it (`depth` 0: without)."""
    results: list[tuple[str, Detail | MdmError]] = []
    async with archive.database.acquire() as db:
        for text in surls:
            try:
                results.append(
                    (text, await _detail(archive, db, caller, parse_surl(text), offset, count, depth))
                )
            except MdmError as why:
                results.append((text, why))
    return results


async def _detail(
    archive: Archive, db: Connection, caller: Caller, surl: Surl, offset: int, count: int, depth: int
) -> Detail:
    place = await entries.resolve_one(db, surl.lfn)
    if not acl.allows(caller, place, Right.GET_METADATA):
        acl.demand(caller, place, Right.LIST)
    if place.entry is None:
        raise NotFound()
    view_name = surl.view or place.default_view
    if not place.entry.is_directory:
        return (await _files(archive, db, caller, place, view_name, [place.entry], Lfn(split(surl.lfn)[0])))[
            0
        ]
    listed: list[Detail] = []
    if depth:
        acl.demand(caller, place, Right.LIST)
        below = await entries.children(db, place.entry.id, offset, count)
        listed = await _files(archive, db, caller, place, view_name, below, surl.lfn)
    return Detail(surl.lfn, place.entry, children=listed)


async def _files(
    archive: Archive,
    db: Connection,
    caller: Caller,
    place: Place,
    name: View,
    found: list[Entry],
    parent: Lfn,
) -> list[Detail]:
    """Details of entries of one directory. Sizes are told to those who may read the view, or list a public one."""
    files = [(entry.image, name) for entry in found if entry.image is not None]
    open_to_all = name == place.default_view or acl.allows(caller, place, Right.READ, name)
    records = iter(await view.open_records(archive, db, files) if open_to_all else ())
    details = []
    for entry in found:
        lfn = join(parent, entry.name) if entry.name else ROOT
        if entry.image is None:
            details.append(Detail(lfn, entry))
        elif not open_to_all:
            details.append(Detail(lfn, entry, name))
        else:
            details.append(_file(lfn, entry, name, next(records)))
    return details


def _file(lfn: Lfn, entry: Entry, name: View, opened: ViewRecord | MdmError) -> Detail:
    if isinstance(opened, ViewRecord):
        return Detail(lfn, entry, name, "ready", None, opened.size, opened.adler32)
    state = "refused" if isinstance(opened, ViewRefused) else "pending"
    return Detail(
        lfn, entry, name, state, opened.detail if isinstance(opened, ViewRefused | ViewPending) else None
    )


async def mkdir(archive: Archive, caller: Caller, surl: str) -> UUID:
    """A new directory's GUID. Raises Exists, NotFound when its parent is not there."""
    async with archive.database.transaction() as db:
        place = await entries.resolve_one(db, parse_surl(surl).lfn)
        acl.demand(caller, place, Right.WRITE)
        if place.entry is not None:
            raise Exists("a directory has that name" if place.entry.is_directory else "a file has that name")
        if place.parent is None:
            raise NotFound("the parent directory does not exist", remedy="make it first: mdm mkdir -p")
        guid = await entries.make_directory(db, place.parent.id, split(place.lfn)[1])
        await audit.record(db, [Act(caller.name, "mkdir", guid=guid)])
        return guid


async def rmdir(archive: Archive, caller: Caller, surl: str, *, recursive: bool = False) -> None:
    """Remove a directory: empty, or with all below it. Raises NotEmpty, NotADirectory."""
    async with archive.database.transaction() as db:
        place, entry = await _existing(db, caller, surl, Right.DELETE)
        if not entry.is_directory:
            raise NotADirectory("this is a file", remedy="remove it with rm")
        if place.lfn == ROOT:
            raise BadRequest("the root cannot be removed")
        if recursive:
            await images.doom_unreferenced(db, await entries.remove_tree(db, entry.id))
        else:
            await entries.remove_directory(db, entry.id)
        await audit.record(db, [Act(caller.name, "rmdir", guid=entry.guid, details={"recursive": recursive})])


async def rm(archive: Archive, caller: Caller, surls: Sequence[str]) -> list[tuple[str, MdmError | None]]:
    """Remove files. Their transfer URLs die, running transfers stop, their images are destroyed soon."""
    results: list[tuple[str, MdmError | None]] = []
    for surl in surls:
        try:
            async with archive.database.transaction() as db:
                _, entry = await _existing(db, caller, surl, Right.DELETE)
                if entry.is_directory:
                    raise BadRequest("this is a directory", remedy="remove it with rmdir, or rm -r")
                await images.doom_unreferenced(db, [await entries.remove_file(db, entry.id)])
                await audit.record(db, [Act(caller.name, "rm", guid=entry.guid)])
            results.append((surl, None))
        except MdmError as why:
            results.append((surl, why))
    return results


async def mv(archive: Archive, caller: Caller, source: str, target: str) -> None:
    """Move or rename. Into a directory when the target is one. Raises Exists, NotFound, BadRequest."""
    async with archive.database.transaction() as db:
        place, entry = await _existing(db, caller, source, Right.DELETE)
        if place.lfn == ROOT:
            raise BadRequest("the root cannot be moved")
        to = await entries.resolve_one(db, parse_surl(target).lfn)
        acl.demand(caller, to, Right.WRITE)
        if to.entry is None and to.parent is not None:
            parent, name = to.parent.id, split(to.lfn)[1]
        elif to.entry is not None and to.entry.is_directory:
            parent, name = to.entry.id, entry.name
        elif to.entry is not None:
            raise Exists("a file has that name", remedy="remove it first")
        else:
            raise NotFound("the target's directory does not exist")
        await entries.move(db, entry.id, parent, name)
        await audit.record(db, [Act(caller.name, "mv", guid=entry.guid)])


async def check_permission(
    archive: Archive, caller: Caller, surls: Sequence[str]
) -> list[tuple[str, str | MdmError]]:
    """The letters of the caller's rights on each SURL."""
    results: list[tuple[str, str | MdmError]] = []
    async with archive.database.acquire() as db:
        for surl in surls:
            try:
                place = await entries.resolve_one(db, parse_surl(surl).lfn)
                rights = acl.rights_of(caller, place)
                if place.entry is None or not rights:
                    raise NotFound()
                results.append((surl, rights))
            except MdmError as why:
                results.append((surl, why))
    return results


async def _existing(db: Connection, caller: Caller, surl: str, right: Right) -> tuple[Place, Entry]:
    place = await entries.resolve_one(db, parse_surl(surl).lfn)
    acl.demand(caller, place, right)
    if place.entry is None:
        raise NotFound()
    return place, place.entry
