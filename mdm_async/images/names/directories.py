"""New directories: one, or with all that is missing above it."""

from collections.abc import Iterable, Iterator
from dataclasses import replace
from uuid import UUID

from mdm_async.catalog.namespace import entries, places
from mdm_async.catalog.namespace.entries import Entry
from mdm_async.catalog.namespace.places import Place
from mdm_async.catalog.rights import acl
from mdm_async.catalog.trail import acts
from mdm_async.catalog.trail.acts import Act
from mdm_async.errors import Exists, MdmError, NoParent, NotADirectory
from mdm_async.images.surls import resolve, resolve_one
from mdm_async.names import Caller, Lfn, split
from mdm_async.postgres.database import Connection, Database


async def mkdir(database: Database, caller: Caller, surl: str, *, parents: bool = False) -> UUID:
    """A new directory's GUID; with `parents` those above it are made too, and one that is there already is as good.

    Raises Exists, NoParent, NotADirectory. Whoever may give the name is told that it is
    taken, even by what they may not list: a name is given once.
    """
    async with database.transaction() as db:
        _, place = await resolve_one(db, caller, surl)
        if parents:
            return (await made(db, caller, place.lfn)).guid
        acl.demand_create(caller, place, directory=True)
        if place.entry is not None:
            raise Exists()
        if place.parent is None:
            raise NoParent(remedy="make it first: mdm mkdir -p")
        guid = await entries.make_directory(db, place.parent.id, split(place.lfn)[1])
        await acts.record(db, [Act(caller, "mkdir", guid=guid)])
        return guid


async def for_files(database: Database, caller: Caller, surls: Iterable[str]) -> dict[str, MdmError]:
    """Make the directories that these files would lie in; why, for each file whose directory cannot be made."""
    failures: dict[str, MdmError] = {}
    async with database.transaction() as db:
        wanted: dict[Lfn, list[tuple[str, Place]]] = {}
        surls = list(dict.fromkeys(surls))
        for text, found in zip(surls, await resolve(db, caller, surls), strict=True):
            if not isinstance(found, MdmError) and found[1].missing > 1 and found[0].view is None:
                wanted.setdefault(split(found[1].lfn)[0], []).append((text, found[1]))
        # In order of names, so that two who make the same directories never wait for each other.
        for lfn in sorted(wanted):
            try:
                await made(db, caller, lfn, wanted[lfn][0][1])
            except MdmError as why:
                failures.update((text, why) for text, _ in wanted[lfn])
    return failures


async def made(db: Connection, caller: Caller, lfn: Lfn, wanted: Place | None = None) -> Entry:
    """The directory of this LFN, made with all that is missing above it. It needs `w` where the first is made.

    `wanted`: what it is made for, when that is something in it. Raises as `mkdir`.
    """
    mine: set[UUID] = set()
    while True:
        place = await places.resolve_one(db, lfn)
        if place.entry is not None:
            if place.entry.guid not in mine:
                _demand_directory(caller, place, place.entry)
            return place.entry
        if place.ancestor.guid not in mine:
            demand_makeable(caller, place, wanted)
        # Those of them that somebody else has just made are looked at then.
        guids = await entries.make_directories(db, place.ancestor.id, lfn.split("/")[-place.missing :])
        await acts.record(db, [Act(caller, "mkdir", guid=guid) for guid in guids])
        mine.update(guids)


def demand_makeable(caller: Caller, place: Place, wanted: Place | None = None) -> None:
    """Return when the caller may make what is missing above this place. Raises as `made`."""
    if not all(acl.may_make_directory(caller, one) for one in _missing(place)):
        # Of the whole name: below what is hidden one is told what is told below what is missing.
        acl.demand_create(caller, wanted or place, directory=wanted is None)
    if not place.ancestor.is_directory:
        raise NotADirectory("a file has the name of a directory above")


def _demand_directory(caller: Caller, place: Place, entry: Entry) -> None:
    if not acl.may_see(caller, place):
        acl.demand_create(caller, place, directory=True)
        raise Exists()
    if not entry.is_directory:
        raise NotADirectory("a file has that name")


def _missing(place: Place) -> Iterator[Place]:
    """What is missing, from the first directory down, each as if those above were there."""
    names = place.lfn.split("/")
    for count in range(len(names) - place.missing, len(names)):
        yield replace(place, lfn=Lfn("/".join(names[: count + 1])), missing=1)
