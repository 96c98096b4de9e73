"""The verbs on names: list, make, remove, move, and ask for one's rights."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from uuid import UUID

from mdm_async.catalog import acl, audit, entries, images
from mdm_async.catalog.audit import Act
from mdm_async.catalog.database import Connection
from mdm_async.catalog.entries import Entry, Place
from mdm_async.errors import BadRequest, Exists, MdmError, NotADirectory, NotFound, ViewPending, ViewRefused
from mdm_async.images import view
from mdm_async.images.archive import Archive
from mdm_async.images.record import ViewRecord
from mdm_async.images.surls import resolve
from mdm_async.names import IDENTIFIED, ROOT, Caller, Lfn, Right, Surl, View, join, parse_surl, split


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
    async with archive.database.acquire() as db:
        results: dict[int, Detail | MdmError] = {}
        files: list[tuple[int, Place, Entry, View]] = []
        for item, found in enumerate(await resolve(db, surls)):
            try:
                if isinstance(found, MdmError):
                    raise found
                surl, place = found
                entry = _visible(caller, place)
                if entry.is_directory:
                    results[item] = await _directory(
                        archive, db, caller, surl, place, entry, offset, count * depth
                    )
                else:
                    files.append((item, place, entry, surl.view or place.default_view))
            except MdmError as why:
                results[item] = why
        asked = [
            (file, _tells(caller, place, view_name)) for file in files for _, place, _, view_name in [file]
        ]
        records = iter(
            await view.open_records(
                archive,
                db,
                [(entry.image, name) for (_, _, entry, name), told in asked if told and entry.image],
            )
        )
        for (item, place, entry, view_name), told in asked:
            results[item] = _file(place.lfn, entry, view_name, next(records) if told else None)
    return [(text, results[item]) for item, text in enumerate(surls)]


def _visible(caller: Caller, place: Place) -> Entry:
    if not acl.allows(caller, place, Right.GET_METADATA):
        acl.demand(caller, place, Right.LIST)
    if place.entry is None:
        raise NotFound()
    return place.entry


def _tells(caller: Caller, place: Place, name: View) -> bool:
    """Size and checksum of a de-identified default view are for all who may list; others need their right."""
    return (name == place.default_view and name != IDENTIFIED) or acl.allows(caller, place, Right.READ, name)


async def _directory(
    archive: Archive,
    db: Connection,
    caller: Caller,
    surl: Surl,
    place: Place,
    entry: Entry,
    offset: int,
    count: int,
) -> Detail:
    if not count:
        return Detail(place.lfn, entry)
    acl.demand(caller, place, Right.LIST)
    below = await entries.children(db, entry.id, offset, count)
    told = {e.id: name for e in below if (name := _told_of(caller, place, surl, e)) is not None}
    records = iter(
        await view.open_records(
            archive, db, [(e.image, told[e.id]) for e in below if e.image and e.id in told]
        )
    )
    children = [
        Detail(join(place.lfn, e.name), e)
        if e.is_directory
        else _file(
            join(place.lfn, e.name), e, _view_of(place, surl, e), next(records) if e.id in told else None
        )
        for e in below
    ]
    return Detail(place.lfn, entry, children=children)


def _view_of(directory: Place, surl: Surl, entry: Entry) -> View:
    return entry.only_view or surl.view or directory.default_view


def _told_of(caller: Caller, directory: Place, surl: Surl, entry: Entry) -> View | None:
    """The view whose size and checksum a listing tells of a file in the directory, if any."""
    if entry.is_directory:
        return None
    name = _view_of(directory, surl, entry)
    here = directory
    if entry.only_view is not None:
        here = replace(directory, entry=entry, default_view=entry.only_view)
    return name if _tells(caller, here, name) else None


def _file(lfn: Lfn, entry: Entry, name: View, opened: ViewRecord | MdmError | None) -> Detail:
    if opened is None:
        return Detail(lfn, entry, name)
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
    archive.changed.everything()


async def rm(archive: Archive, caller: Caller, surls: Sequence[str]) -> list[tuple[str, MdmError | None]]:
    """Remove files. Their transfer URLs die, running transfers stop, their images are destroyed soon."""
    async with archive.database.transaction() as db:
        found = [_removable(caller, one) for one in await resolve(db, surls)]
        wanted = {one.id: one for one in found if isinstance(one, Entry)}
        removed = await entries.remove_files(db, wanted)
        await images.doom_unreferenced(db, removed.values())
        await audit.record(db, [Act(caller.name, "rm", guid=wanted[entry].guid) for entry in removed])
    archive.changed.everything()
    results: list[tuple[str, MdmError | None]] = []
    for text, one in zip(surls, found, strict=True):
        if isinstance(one, Entry):
            # Named twice, or removed by somebody else meanwhile: the second time it is not there.
            results.append((text, None if removed.pop(one.id, None) else NotFound()))
        else:
            results.append((text, one))
    return results


def _removable(caller: Caller, found: tuple[Surl, Place] | MdmError) -> Entry | MdmError:
    if isinstance(found, MdmError):
        return found
    place = found[1]
    try:
        acl.demand(caller, place, Right.DELETE)
    except MdmError as why:
        return why
    if place.entry is None:
        return NotFound()
    if place.entry.is_directory:
        return BadRequest("this is a directory", remedy="remove it with rmdir, or rm -r")
    return place.entry


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
    archive.more_to_make.set()  # its new directory may name other views


async def check_permission(
    archive: Archive, caller: Caller, surls: Sequence[str]
) -> list[tuple[str, str | MdmError]]:
    """The letters of the caller's rights on each SURL."""
    async with archive.database.acquire() as db:
        found = await resolve(db, surls)
    return [
        (text, o if isinstance(o, MdmError) else _rights(caller, o[1]))
        for text, o in zip(surls, found, strict=True)
    ]


def _rights(caller: Caller, place: Place) -> str | MdmError:
    return (place.entry and acl.rights_of(caller, place)) or NotFound()


async def _existing(db: Connection, caller: Caller, surl: str, right: Right) -> tuple[Place, Entry]:
    place = await entries.resolve_one(db, parse_surl(surl).lfn)
    acl.demand(caller, place, right)
    if place.entry is None:
        raise NotFound()
    return place, place.entry
