"""A research project's own entries: the same images under other names, GUIDs and one view, which link no projects."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from uuid import UUID

from mdm_async.blobs.store import BlobStore
from mdm_async.catalog.holdings import images, rejections
from mdm_async.catalog.namespace import entries, places
from mdm_async.catalog.namespace.places import Place
from mdm_async.catalog.rights import acl
from mdm_async.catalog.trail import acts
from mdm_async.catalog.trail.acts import Act
from mdm_async.catalog.work import views_to_make
from mdm_async.dicom.identifiers import linking_values
from mdm_async.errors import BadRequest, Exists, Gone, MdmError, NotADirectory, NotFound
from mdm_async.images.cipher_pool import CipherPool
from mdm_async.images.names import directories
from mdm_async.images.names.bound import astray, is_bound
from mdm_async.images.names.path_template import PathTemplate
from mdm_async.images.names.revealing import Named, NameGuard
from mdm_async.images.reading import stream
from mdm_async.images.reading.served import Served
from mdm_async.images.reading.shelf import Shelf
from mdm_async.images.reading.view import ReadyView
from mdm_async.images.rights.delivery import demands_sealed
from mdm_async.images.rights.opaque_views import demand_offered
from mdm_async.images.surls import resolve, resolve_one
from mdm_async.names import Caller, Lfn, Right, Surl, parse_lfn, split
from mdm_async.postgres.database import Connection, Database
from mdm_async.settings import DeliverySettings

_AT_ONCE = 64


@dataclass(frozen=True, slots=True)
class Linked:
    """An entry of the project: its GUID and LFN."""

    guid: UUID
    lfn: Lfn


@dataclass(frozen=True, slots=True)
class Linker:
    """What links are made with."""

    database: Database
    shelf: Shelf
    blobs: BlobStore
    cipher: CipherPool
    guard: NameGuard
    standing: DeliverySettings
    """What holds where no directory says how views leave it."""


async def link(
    linker: Linker, caller: Caller, sources: Sequence[str], target: str, name: str, template: str
) -> list[tuple[str, Linked | MdmError]]:
    """Give images entries below the directory `target`, which give the de-identified view `name` and no other.

    The caller needs to read that view of each source, and to write to the target and to the directories in it that
    get the entries. What leaves its source sealed only leaves the new entry so too. A repetition finds what is there.
    One failing source fails no other.
    """
    path = PathTemplate(template)
    async with linker.database.acquire() as db:
        await linker.shelf.served.refresh(db)
        served = linker.shelf.served.get(name)
        if served is None:
            raise BadRequest(
                "only a de-identified view can be linked", remedy="`mdm profile list` names those that are"
            )
        if path.names_subject and served.mapping is None:
            raise BadRequest(
                "{subject} is of a mapping, and the view's project has none",
                remedy="mdm project mapping set PROJECT FILE.csv, and write unmapped = ... in the profile",
            )
        _, base = await resolve_one(db, caller, target)
        acl.demand(caller, base, Right.WRITE)
        if base.entry is None or not base.entry.is_directory:
            raise NotFound("the project's directory does not exist", remedy="make it first: mdm mkdir -p")
    results: list[tuple[str, Linked | MdmError]] = []
    linking = _Linking(linker, caller, served, base.lfn, base.entry.id, path)
    for start in range(0, len(sources), _AT_ONCE):
        batch = sources[start : start + _AT_ONCE]
        results += zip(batch, await linking.batch(batch), strict=True)
    return results


@dataclass(frozen=True, slots=True)
class _Source:
    """An image that the caller may read in the view that is linked."""

    image: UUID
    guid: UUID
    sealed: bool
    """It leaves sealed only."""


@dataclass(frozen=True, slots=True)
class _Named:
    """A new entry's name, and what of it people have chosen."""

    lfn: Lfn
    said: str


@dataclass(frozen=True, slots=True)
class _Linking:
    """Makes the entries of one request."""

    linker: Linker
    caller: Caller
    served: Served
    target: Lfn
    target_id: int
    path: PathTemplate

    async def batch(self, surls: Sequence[str]) -> list[Linked | MdmError]:
        """Few enough that their heads fit into memory. The rights are those of the moment."""
        async with self.linker.database.acquire() as db:
            sources = [self._source(one) for one in await resolve(db, self.caller, surls)]
            images_ = [one.image for one in sources if isinstance(one, _Source)]
            views = [(image, self.served.view) for image in images_]
            found = await self.linker.shelf.find_whole(db, views)
        loaded = iter(await self.linker.shelf.load(found))
        linked = [one for one in sources if isinstance(one, _Source)]
        named = [await self._named(next(loaded)) for _ in linked]
        silent = await self._silent(linked, named)
        async with self.linker.database.transaction() as db:
            await views_to_make.share_demands(db)
            await self.linker.shelf.served.refresh(db, now=True)
            await entries.lock(db, self.target_id)
            await rejections.lock_notes(db, images_)
            kept = await images.keep(db, images_)
            made = iter(
                [await self._made(db, one, lfn, kept) for one, lfn in zip(linked, silent, strict=True)]
            )
            # The profile may have been replaced since the view was opened.
            newest = self.linker.shelf.served.newest
            await views_to_make.add_lacking(db, images_, [self.served.view], newest)
        return [next(made) if isinstance(one, _Source) else one for one in sources]

    def _source(self, found: tuple[Surl, Place] | MdmError) -> _Source | MdmError:
        if isinstance(found, MdmError):
            return found
        _, place = found
        try:
            demand_offered(self.caller, place, self.served.view)
            acl.demand(self.caller, place, Right.READ, self.served.view)
            if place.entry is None:
                raise acl.missing(self.caller)
            if place.entry.image is None:
                raise BadRequest("this is a directory", remedy="name its files, or link -r")
            if not is_bound(self.linker.shelf.served.bindings, place.entry):
                raise astray()
        except MdmError as why:
            return why
        sealed = demands_sealed(self.linker.standing, place, self.served.view)
        return _Source(place.entry.image, place.entry.guid, sealed)

    async def _named(self, ready: ReadyView | MdmError) -> "_Named | MdmError":
        if isinstance(ready, MdmError):
            return ready
        try:
            head = await stream.first_part(self.linker.blobs, ready)
            values = await self.linker.cipher.run(partial(linking_values, head))
            mapping = self.served.mapping
            subjects = mapping.names if mapping is not None else frozenset()
            base = self.target.rstrip("/")
            lfn = parse_lfn(f"{base}/{self.path.fill(values, self.served.key, subjects)}")
            return _Named(lfn, f"{base}/{self.path.said(values, subjects)}")
        except MdmError as why:
            return why

    async def _silent(
        self, sources: Sequence[_Source], named: Sequence["_Named | MdmError"]
    ) -> list[Lfn | MdmError]:
        """Those names that do not tell who their image's patient is."""
        told = [
            Named(source.image, source.guid, (one.said,))
            for source, one in zip(sources, named, strict=True)
            if isinstance(one, _Named)
        ]
        verdicts = iter(await self.linker.guard.compare(self.caller, told))
        return [(next(verdicts) or one.lfn) if isinstance(one, _Named) else one for one in named]

    async def _made(
        self, db: Connection, source: _Source, lfn: Lfn | MdmError, kept: set[UUID]
    ) -> Linked | MdmError:
        if isinstance(lfn, MdmError):
            return lfn
        if source.image not in kept:
            return Gone("the image has just been deleted")
        try:
            return await self._link(db, source, lfn)
        except MdmError as why:
            return why

    async def _link(self, db: Connection, source: _Source, lfn: Lfn) -> Linked:
        place = await places.resolve_one(db, lfn)
        if place.missing > 1:
            await directories.made(db, self.caller, split(lfn)[0])
            place = await places.resolve_one(db, lfn)
        acl.demand_create(self.caller, place)
        if place.entry is not None:
            same = (place.entry.image, place.entry.only_view) == (source.image, self.served.view)
            if not same or not acl.allows(self.caller, place, Right.LIST):
                raise Exists("another file has the name that this one would get")
            return Linked(place.entry.guid, lfn)
        if place.parent is None:
            raise NotADirectory("a file has the name of a directory that this one would get")
        sealed = source.sealed and not demands_sealed(self.linker.standing, place, self.served.view)
        guid = await entries.add_file(
            db,
            place.parent.id,
            split(lfn)[1],
            source.image,
            only_view=self.served.view,
            delivery={"deidentified": "sealed"} if sealed else None,
            bind=self.linker.shelf.served.bindings.of,
        )
        if guid is None:
            raise Exists(
                "somebody else has just given the name that this one would get", remedy="link it again"
            )
        await acts.record(db, [Act(self.caller, "link", guid=guid, view=self.served.view)])
        return Linked(guid, lfn)
