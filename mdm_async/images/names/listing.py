"""What is there: entries and what is known of them, and directories page by page.

A page holds only what the caller may list, and is full while there is more of that. What is hidden is decided once
for each ACL that a directory's entries have of their own, so a page costs the same in a directory of any size.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from uuid import UUID

from mdm_async.catalog.holdings import locality
from mdm_async.catalog.holdings.locality import Locality
from mdm_async.catalog.namespace import entries, places
from mdm_async.catalog.namespace.entries import Entry, Listed
from mdm_async.catalog.namespace.places import Acl, Place
from mdm_async.catalog.rights import acl
from mdm_async.errors import MdmError, NotOnline, TooLarge, ViewPending, ViewRefused
from mdm_async.images.names.bound import astray, is_bound
from mdm_async.images.parts.record import ViewRecord
from mdm_async.images.reading.sent import lately_sent, may_be_told
from mdm_async.images.reading.shelf import Found, Shelf
from mdm_async.images.rights.modes import Seen, SeenBy
from mdm_async.images.surls import resolve
from mdm_async.names import IDENTIFIED, Caller, Lfn, Right, Surl, View, split
from mdm_async.postgres.database import Connection, Database

MOST = 10_000
"""Entries of directories in one answer."""
_NOBODYS = Acl(0, ())


@dataclass(frozen=True, slots=True)
class Detail:
    """What a listing tells of an entry; `size` (bytes) and `adler32` are those of one view, when it is ready.

    Whoever wrote a file lately is told those of what they sent, in place of its default view's.
    """

    lfn: Lfn
    entry: Entry
    locality: Locality | None = None
    """Of a file."""
    view: View | None = None
    state: str | None = None
    reason: str | None = None
    size: int | None = None
    adler32: int | None = None
    unknown: MdmError | None = None
    """Why its size is not known, though the caller may be told of it."""
    modes: Seen | None = None
    """When they were asked for."""
    children: list["Detail"] = field(default_factory=list)
    last: str | None = None
    """The last name on this page of a directory, when there is another page."""


@dataclass(frozen=True, slots=True)
class Page:
    """How much of a directory is asked for: this many entries, after a name or an offset on."""

    count: int = 1000
    after: str = ""
    offset: int = 0


NOTHING = Page(0)
"""A directory's own detail, without what is in it."""


async def ls(
    database: Database, shelf: Shelf, caller: Caller, surls: Sequence[str], page: Page, *, modes: bool = False
) -> list[tuple[str, Detail | MdmError]]:
    """Each SURL's own detail and, of a directory, a page of what is in it that the caller may list.

    `modes`: with the modes of each. One that fails fails no other. TooLarge for directories that the answer has no room
    for.
    """
    async with database.acquire() as db:
        results: dict[int, Detail | MdmError] = {}
        directories: dict[int, _Directory] = {}
        files: dict[int, _File] = {}
        room = MOST
        seen = SeenBy(caller) if modes else None
        for item, found in enumerate(await resolve(db, caller, surls)):
            try:
                if isinstance(found, MdmError):
                    raise found
                surl, place = found
                entry = _visible(caller, surl, place)
                if not entry.is_directory:
                    files[item] = _File.of(caller, place, entry, surl.view, seen)
                    continue
                directories[item] = told = await _directory(
                    shelf, db, caller, surl, place, entry, page, room, seen
                )
                room -= len(told.children)
            except MdmError as why:
                results[item] = why
        closed = await _find(shelf, db, caller, list(files.values()))
    results.update(zip(files, await closed.details(shelf), strict=True))
    for item, directory in directories.items():
        results[item] = await directory.detail(shelf)
    return [(text, results[item]) for item, text in enumerate(surls)]


def _visible(caller: Caller, surl: Surl, place: Place) -> Entry:
    # Its GUID tells where an entry is only to whom a listing would.
    if surl.guid is None:
        acl.demand_seen(caller, place)
    else:
        acl.demand(caller, place, Right.LIST)
    if place.entry is None:
        raise acl.missing(caller)
    return place.entry


async def _directory(
    shelf: Shelf,
    db: Connection,
    caller: Caller,
    surl: Surl,
    place: Place,
    entry: Entry,
    page: Page,
    room: int,
    seen: SeenBy | None,
) -> "_Directory":
    if not page.count:
        return _Directory(place, entry, [], await _find(shelf, db, caller, []), seen)
    acl.demand_listing(caller, place)
    own = await places.acls_of(db, await entries.own_acls(db, entry.id))
    # One more than asked for: whether there is another page.
    below = await entries.page(
        db,
        entry.id,
        _listed(caller, place, own),
        min(page.count, room) + 1,
        after=page.after,
        offset=page.offset,
    )
    if len(below[: page.count]) > room:
        raise TooLarge(
            f"one answer lists {MOST} entries of directories at the most",
            remedy="ask for fewer directories, or smaller pages",
        )
    shown = below[: page.count]
    at = {
        e.id: place.child(e.name, e, own.get(e.acl, _NOBODYS) if e.acl is not None else None) for e in shown
    }
    # Of a project's own entries the one view that they give, whatever view the directory was named with.
    files = [
        _File.of(caller, at[e.id], e, e.only_view or surl.view, seen) for e in shown if not e.is_directory
    ]
    last = shown[-1].name if len(below) > len(shown) else None
    return _Directory(
        place, entry, [(at[e.id], e) for e in shown], await _find(shelf, db, caller, files), seen, last
    )


@dataclass(frozen=True, slots=True)
class _Directory:
    """A directory to be told of, with the names and entries in it that are shown."""

    place: Place
    entry: Entry
    children: Sequence[tuple[Place, Entry]]
    files: "_Closed"
    seen: SeenBy | None
    last: str | None = None

    async def detail(self, shelf: Shelf) -> Detail:
        details = {detail.entry.id: detail for detail in await self.files.details(shelf)}
        children = [
            details.get(entry.id) or Detail(place.lfn, entry, modes=_modes(self.seen, place))
            for place, entry in self.children
        ]
        modes = _modes(self.seen, self.place)
        return Detail(self.place.lfn, self.entry, modes=modes, children=children, last=self.last)


def _modes(seen: SeenBy | None, place: Place) -> Seen | None:
    return None if seen is None else seen(place)


def _listed(caller: Caller, place: Place, own: Mapping[int, Acl]) -> Listed:
    """Which entries of a directory the caller may list. Theirs that scopes name apart are listed by name."""

    def may(name: str, acl_: Acl | None) -> bool:
        return acl.allows(caller, place.child(name, None, acl_), Right.LIST)

    named = {split(scope.path)[1] for scope in caller.scopes if split(scope.path)[0] == place.lfn}
    return Listed(
        inheriting=may("", None),  # No scope names the empty name.
        acls=[id_ for id_, one in own.items() if may("", one)],
        names=[name for name in named if name and may(name, _NOBODYS)],
    )


@dataclass(frozen=True, slots=True)
class _File:
    """A file to be told of, in this view; `told`: its size and checksum too."""

    lfn: Lfn
    entry: Entry
    view: View
    told: bool
    is_default: bool
    """No view was named."""
    modes: Seen | None

    @classmethod
    def of(
        cls, caller: Caller, place: Place, entry: Entry, asked: View | None, seen: SeenBy | None
    ) -> "_File":
        """Size and checksum of a de-identified default view are for all who may list; others need their right."""
        name = asked or place.default_view
        told = (name == place.default_view and name != IDENTIFIED) or acl.allows(
            caller, place, Right.READ, name
        )
        return cls(place.lfn, entry, name, told, asked is None, _modes(seen, place))


@dataclass(frozen=True, slots=True)
class _Closed:
    """Files as the catalog knows them; their sizes lie in records that are to be opened."""

    files: Sequence[_File]
    localities: Mapping[UUID, Locality]
    found: Found | None
    sent: Found | None
    """The originals of those whose writer the caller is."""

    async def details(self, shelf: Shelf) -> list[Detail]:
        records = iter(await shelf.open_records(self.found) if self.found is not None else ())
        sent: dict[UUID | None, ViewRecord] = {}
        if self.sent is not None:
            opened = await shelf.open_records(self.sent)
            for (original, _), one in zip(self.sent.wanted, opened, strict=True):
                if isinstance(one, ViewRecord):
                    sent[original] = one
        details = []
        for file in self.files:
            image = file.entry.image
            where = self.localities.get(image) if image is not None else None
            told, bound = next(records) if file.told else None, is_bound(shelf.served.bindings, file.entry)
            detail = _detail(file, where, told if bound or told is None else astray())
            if bound and image in sent and file.is_default:
                detail = replace(detail, size=sent[image].size, adler32=sent[image].adler32, unknown=None)
            details.append(detail)
        return details


async def _find(shelf: Shelf, db: Connection, caller: Caller, files: Sequence[_File]) -> _Closed:
    images = [file.entry.image for file in files if file.entry.image is not None]
    localities = await locality.of_images(db, images) if images else {}
    wanted = [(file.entry.image, file.view) for file in files if file.told and file.entry.image is not None]
    found = await shelf.find(db, wanted) if wanted else None
    window = shelf.writer_window
    mine = [file.entry.image for file in files if file.is_default and may_be_told(file.entry, window)]
    sent = await lately_sent(db, shelf, caller.writers, [image for image in mine if image is not None])
    originals = await shelf.find(db, [(image, IDENTIFIED) for image in sent]) if sent else None
    return _Closed(files, localities, found, originals)


def _detail(file: _File, where: Locality | None, opened: ViewRecord | MdmError | None) -> Detail:
    told = Detail(file.lfn, file.entry, where, file.view, modes=file.modes)
    if opened is None:
        return told
    if isinstance(opened, NotOnline):
        return replace(told, unknown=opened)
    if isinstance(opened, ViewRecord):
        return replace(told, state="ready", size=opened.size, adler32=opened.adler32)
    state = "refused" if isinstance(opened, ViewRefused) else "pending"
    reason = opened.detail if isinstance(opened, ViewRefused | ViewPending) else None
    return replace(told, state=state, reason=reason, unknown=opened)
