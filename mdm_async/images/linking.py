"""A research project's own entries: the same images under other names, GUIDs and one view, which link no projects."""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from typing import cast
from uuid import UUID

from mdm_async.catalog import acl, audit, entries
from mdm_async.catalog.audit import Act
from mdm_async.catalog.database import Connection
from mdm_async.catalog.entries import Place
from mdm_async.dicom.linking import linking_values
from mdm_async.dicom.path_template import PathTemplate
from mdm_async.errors import BadRequest, Exists, MdmError, NotADirectory, NotFound
from mdm_async.images import stream, view
from mdm_async.images.archive import Archive
from mdm_async.images.served import Served
from mdm_async.images.surls import resolve
from mdm_async.images.view import ReadyView
from mdm_async.names import Caller, Lfn, Right, Surl, parse_lfn, parse_surl, split

_AT_ONCE = 64


@dataclass(frozen=True, slots=True)
class Linked:
    """An entry of the project: its GUID and LFN."""

    guid: UUID
    lfn: Lfn


async def link(
    archive: Archive, caller: Caller, sources: Sequence[str], target: str, name: str, template: str
) -> list[tuple[str, Linked | MdmError]]:
    """Give images entries below the directory `target`, which give the de-identified view `name` and no other.

    The caller needs to read that view of each source, and to write to the target. A repetition finds what is there.
    One failing source fails no other.
    """
    path = PathTemplate(template)
    async with archive.database.acquire() as db:
        await archive.views.refresh(db)
        served = archive.views.get(name)
        if served is None:
            raise BadRequest(
                "only a de-identified view can be linked", remedy="`mdm profile list` names those that are"
            )
        base = await entries.resolve_one(db, parse_surl(target).lfn)
        acl.demand(caller, base, Right.WRITE)
        if base.entry is None or not base.entry.is_directory:
            raise NotFound("the project's directory does not exist", remedy="make it first: mdm mkdir -p")
        readable = [_readable(caller, served, one) for one in await resolve(db, sources)]
    results: list[tuple[str, Linked | MdmError]] = []
    linking = _Linking(archive, caller, served, base.lfn, base.entry.id, path)
    for start in range(0, len(sources), _AT_ONCE):
        stop = start + _AT_ONCE
        results += zip(sources[start:stop], await linking.batch(readable[start:stop]), strict=True)
    return results


def _readable(caller: Caller, served: Served, found: tuple[Surl, Place] | MdmError) -> UUID | MdmError:
    """The image behind a source."""
    if isinstance(found, MdmError):
        return found
    _, place = found
    try:
        acl.demand(caller, place, Right.READ, served.view)
        if place.entry is None:
            raise NotFound()
        if place.entry.image is None:
            raise BadRequest("this is a directory", remedy="name its files, or link -r")
    except MdmError as why:
        return why
    return place.entry.image


@dataclass(frozen=True, slots=True)
class _Linking:
    """Makes the entries of one request."""

    archive: Archive
    caller: Caller
    served: Served
    target: Lfn
    target_id: int
    path: PathTemplate
    directories: dict[Lfn, int] = field(default_factory=dict)

    async def batch(self, images: Sequence[UUID | MdmError]) -> list[Linked | MdmError]:
        """Few enough that their heads fit into memory."""
        wanted = [(image, self.served.view) for image in images if isinstance(image, UUID)]
        async with self.archive.database.acquire() as db:
            loaded = iter(await view.load(self.archive, db, wanted))
        named = [await self._lfn(next(loaded)) if isinstance(image, UUID) else image for image in images]
        async with self.archive.database.transaction() as db:
            await entries.lock(db, self.target_id)
            return [
                await self._link(db, image, lfn)
                if isinstance(image, UUID) and not isinstance(lfn, MdmError)
                else cast(MdmError, lfn)
                for image, lfn in zip(images, named, strict=True)
            ]

    async def _lfn(self, ready: ReadyView | MdmError) -> Lfn | MdmError:
        if isinstance(ready, MdmError):
            return ready
        try:
            head = await stream.first_part(self.archive, ready)
            values = await self.archive.on_cipher_pool(partial(linking_values, head))
            name = self.path.fill(values, self.served.key)
            return parse_lfn(f"{self.target.rstrip('/')}/{name}")
        except MdmError as why:
            return why

    async def _link(self, db: Connection, image: UUID, lfn: Lfn) -> Linked | MdmError:
        try:
            parent = await self._directory(db, split(lfn)[0])
            guid = await entries.add_file(db, parent, split(lfn)[1], image, self.served.view)
            if guid is None:
                there = (await entries.resolve_one(db, lfn)).entry
                if there is None or (there.image, there.only_view) != (image, self.served.view):
                    raise Exists("another file has the name that this one would get")
                return Linked(there.guid, lfn)
        except MdmError as why:
            return why
        await audit.record(db, [Act(self.caller.name, "link", guid=guid, view=self.served.view)])
        return Linked(guid, lfn)

    async def _directory(self, db: Connection, lfn: Lfn) -> int:
        """The directory of this LFN, made with all that is missing above it."""
        if lfn not in self.directories:
            entry = (await entries.resolve_one(db, lfn)).entry
            if entry is None:
                parent, name = split(lfn)
                with suppress(Exists):  # somebody else has just made it
                    await entries.make_directory(db, await self._directory(db, parent), name)
                entry = (await entries.resolve_one(db, lfn)).entry
                assert entry is not None
            if not entry.is_directory:
                raise NotADirectory("a file has the name of a directory that this one would get")
            self.directories[lfn] = entry.id
        return self.directories[lfn]
