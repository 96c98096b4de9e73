"""Replicas: where else copies of an image's views lie. One is the master; without another it is the copy stored here.

Listing them needs `g`, and of each the right to read its view; changing them `s`, and that right besides. Whoever may
not read a replica's view is told of it what they would be told of one that does not exist, unless they give its URL
to another.
"""

import re
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from urllib.parse import unquote, urlsplit
from uuid import UUID

from mdm_async.catalog.holdings import replicas
from mdm_async.catalog.holdings.replicas import Replica
from mdm_async.catalog.namespace.entries import Entry
from mdm_async.catalog.namespace.places import Place
from mdm_async.catalog.rights import acl
from mdm_async.catalog.trail import acts as audit
from mdm_async.catalog.trail.acts import Act
from mdm_async.errors import BadRequest, Busy, Exists, MdmError, NotFound
from mdm_async.images.names.revealing import Named, NameGuard
from mdm_async.images.reading.served import ServedViews
from mdm_async.images.surls import resolve
from mdm_async.names import Caller, Right, Surl, View
from mdm_async.postgres.database import Connection, Database

SCHEMES = ("srm", "https", "davs", "root", "gsiftp", "s3")
_LONGEST = 2048
_UNFIT = re.compile(r"[\x00-\x20\x7f]")

Outcomes = list[tuple[str, MdmError | None]]


@dataclass(frozen=True, slots=True)
class Change:
    """One replica, of the file that a SURL names. `url` None: the copy stored here."""

    surl: str
    url: str | None


async def listing(
    database: Database, caller: Caller, surls: Sequence[str]
) -> list[tuple[str, list[Replica] | MdmError]]:
    """The replicas of each file that the caller may know of."""
    async with database.acquire() as db:
        found = [_file(caller, one, Right.GET_METADATA) for one in await resolve(db, caller, surls)]
        known = await replicas.of_entries(db, [one[2].id for one in found if not isinstance(one, MdmError)])
    return [
        (surl, one if isinstance(one, MdmError) else _readable(caller, one[1], known.get(one[2].id, [])))
        for surl, one in zip(surls, found, strict=True)
    ]


async def add(
    database: Database, served: ServedViews, guard: NameGuard, caller: Caller, changes: Sequence[Change]
) -> Outcomes:
    """Tell of copies; a view that the SURL does not name is the default one. Raises nothing: one status for each."""
    compared = await _compared(database, served, guard, caller, changes)

    async def work(db: Connection, surl: Surl, place: Place, entry: Entry, url: str | None) -> View:
        await served.refresh(db)
        view = _view_of_copy(served, caller, surl, place)
        if url is None:
            raise BadRequest("the copy stored here is there already")
        if entry.image is not None:
            if (entry.image, url) not in compared:
                raise Busy("the file has just been changed", remedy="try again")
            if (why := compared[entry.image, url]) is not None:
                raise why
        if not await replicas.add(db, entry.id, view, url, caller.name):
            raise Exists("the file has a replica at that URL already")
        return view

    return await _change(database, caller, "replica add", changes, work)


def _view_of_copy(served: ServedViews, caller: Caller, surl: Surl, place: Place) -> View:
    """Raises BadRequest, and as reading the view does."""
    view = surl.view or place.default_view
    if not served.exists(view):
        raise BadRequest("there is no such view here", remedy="`mdm profile list` names those that are")
    acl.demand(caller, place, Right.READ, view)
    return view


async def _compared(
    database: Database, served: ServedViews, guard: NameGuard, caller: Caller, changes: Sequence[Change]
) -> dict[tuple[UUID, str], MdmError | None]:
    """Why images may not be said to lie at a URL, if not; of those files that the caller may tell of copies of."""
    async with database.acquire() as db:
        await served.refresh(db)
        found = await resolve(db, caller, [change.surl for change in changes])
    named: dict[tuple[UUID, str], Named] = {}
    for change, each in zip(changes, found, strict=True):
        try:
            one = _file(caller, each, Right.SET_METADATA)
            if isinstance(one, MdmError) or change.url is None:
                continue
            surl, place, entry = one
            _view_of_copy(served, caller, surl, place)
            url = parse_url(change.url)
        except MdmError:
            continue  # told when it is to be added
        if entry.image is not None:
            named[entry.image, url] = Named(entry.image, entry.guid, (unquote(url),), entry.name)
    return dict(zip(named, await guard.compare(caller, list(named.values())), strict=True))


async def remove(database: Database, caller: Caller, changes: Sequence[Change]) -> Outcomes:
    """Forget copies. With the master gone, the copy stored here is it."""

    async def work(db: Connection, surl: Surl, place: Place, entry: Entry, url: str | None) -> View:
        if url is None:
            raise BadRequest("the copy stored here goes with its file", remedy="remove it with rm")
        view = await _known(db, caller, place, entry, url)
        await replicas.remove(db, entry.id, url)
        return view

    return await _change(database, caller, "replica remove", changes, work)


async def set_master(database: Database, caller: Caller, changes: Sequence[Change]) -> Outcomes:
    """Say which copy is the master, in place of the one that was."""

    async def work(db: Connection, surl: Surl, place: Place, entry: Entry, url: str | None) -> View | None:
        view = await _known(db, caller, place, entry, url) if url is not None else None
        await replicas.set_master(db, entry.id, url)
        return view

    return await _change(database, caller, "replica master", changes, work)


Work = Callable[[Connection, Surl, Place, Entry, str | None], Awaitable[View | None]]


async def _change(
    database: Database, caller: Caller, act: str, changes: Sequence[Change], work: Work
) -> Outcomes:
    """Each by itself: one that fails fails no other. URLs are not in the audit, for they may hold names."""
    outcomes: Outcomes = []
    async with database.transaction() as db:
        found = await resolve(db, caller, [change.surl for change in changes])
        files = [_file(caller, one, Right.SET_METADATA) for one in found]
        there = await replicas.lock(db, [one[2].id for one in files if not isinstance(one, MdmError)])
        acts = []
        for change, one in zip(changes, files, strict=True):
            try:
                if isinstance(one, MdmError):
                    raise one
                surl, place, entry = one
                if entry.id not in there:
                    raise acl.missing(caller)
                url = parse_url(change.url) if change.url is not None else None
                view = await work(db, surl, place, entry, url)
                acts.append(Act(caller, act, guid=entry.guid, view=view))
                outcomes.append((change.surl, None))
            except MdmError as why:
                outcomes.append((change.surl, why))
        await audit.record(db, acts)
    return outcomes


def _file(
    caller: Caller, found: tuple[Surl, Place] | MdmError, right: Right
) -> tuple[Surl, Place, Entry] | MdmError:
    if isinstance(found, MdmError):
        return found
    surl, place = found
    try:
        acl.demand(caller, place, right)
    except MdmError as why:
        return why
    if place.entry is None:
        return acl.missing(caller)
    if place.entry.is_directory:
        return BadRequest("a directory has no replicas", remedy="name its files")
    return surl, place, place.entry


def _readable(caller: Caller, place: Place, known: Sequence[Replica]) -> list[Replica]:
    return [one for one in known if acl.allows(caller, place, Right.READ, View(one.view))]


async def _known(db: Connection, caller: Caller, place: Place, entry: Entry, url: str) -> View:
    """The view of a replica that the caller may know of. Raises NotFound."""
    found = await replicas.get(db, entry.id, url)
    if found is None or not _readable(caller, place, [found]):
        raise NotFound("the file has no replica at that URL")
    return View(found.view)


def parse_url(text: str) -> str:
    """A URL where a copy may lie. Raises BadRequest, without the URL: it may hold a name."""
    remedy = f"give {'://, '.join(SCHEMES)}:// and a host"
    try:
        url = urlsplit(text)
        host = url.hostname
        _ = url.port
    except ValueError:
        raise BadRequest("a replica's URL is malformed", remedy=remedy) from None
    if len(text.encode()) > _LONGEST or _UNFIT.search(text):
        raise BadRequest(f"a replica's URL has {_LONGEST} bytes at the most, and no space in it")
    if url.scheme not in SCHEMES or not text.startswith(url.scheme) or not host:
        raise BadRequest("a replica's URL is of no known kind", remedy=remedy)
    if "@" in url.netloc:
        raise BadRequest(
            "a replica's URL holds a user name or password", remedy="leave out what is before '@'"
        )
    if url.fragment:
        raise BadRequest("a replica's URL ends in a fragment", remedy="leave out what follows '#'")
    return text
