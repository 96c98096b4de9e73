"""Removing files and directories."""

from collections.abc import Sequence

from mdm_async.catalog.holdings import images, rejections
from mdm_async.catalog.namespace import as_it_was, cut_trees, entries, locks, places
from mdm_async.catalog.namespace.entries import Entry
from mdm_async.catalog.namespace.places import Acl, Place
from mdm_async.catalog.rights import acl
from mdm_async.catalog.trail import acts
from mdm_async.catalog.trail.acts import Act
from mdm_async.errors import (
    BadRequest,
    Forbidden,
    IsADirectory,
    MdmError,
    NotADirectory,
    Unauthenticated,
)
from mdm_async.images.changed import ChangedHere
from mdm_async.images.surls import existing, resolve
from mdm_async.names import ROOT, Caller, Right, Surl
from mdm_async.postgres import sqlstates
from mdm_async.postgres.database import Connection, Database


async def rmdir(
    database: Database, changed: ChangedHere, caller: Caller, surl: str, *, recursive: bool = False
) -> None:
    """Remove a directory: empty, or with all below it, when the caller has `d` on all of that.

    Then no name leads there any more, and its rows, however many, go a page at a time (see `upkeep.trees`).
    Raises NotADirectory, Forbidden, and NotEmpty: that something is there cannot be hidden from who may remove it.
    """
    async with database.transaction() as db:
        place, entry = await existing(db, caller, surl, Right.DELETE)
        if not entry.is_directory:
            raise NotADirectory("this is a file", remedy="remove it with rm")
        if place.lfn == ROOT:
            raise BadRequest("the root cannot be removed")
        if recursive:
            await _cut_off(db, caller, place, entry)
        else:
            await entries.remove_directory(db, entry.id)
        await acts.record(db, [Act(caller, "rmdir", guid=entry.guid, details={"recursive": recursive})])
    changed.everything()


async def take_away(
    db: Connection, caller: Caller, place: Place, directory: int, moved: Entry | None = None
) -> None:
    """Remove what has this name in a directory, itself a directory with all below it, in the transaction that gives the
    name to another, which is `moved` there.

    Raises as `rm` and `rmdir`.
    """
    acl.demand(caller, place, Right.DELETE)
    if place.entry is None:
        raise acl.missing(caller)
    both = [place.entry, *([moved] if moved is not None else [])]
    # Directories, then notes, then files: as for whoever gives an image a name in a directory that he makes.
    await entries.lock_move(db, directory, [one.id for one in both if one.is_directory])
    if place.entry.image is not None:
        await rejections.lock_notes(db, [place.entry.image])
    await entries.lock_move(db, directory, [one.id for one in both])
    if place.entry.is_directory:
        await _cut_off(db, caller, place, place.entry)
    else:
        removed = await entries.remove_files(db, [place.entry.id])
        await as_it_was.note(db, {entry: as_it_was.of_file(place) for entry in removed})
        await images.doom_unreferenced(db, removed.values())
    act = "rmdir" if place.entry.is_directory else "rm"
    await acts.record(db, [Act(caller, act, guid=place.entry.guid, details={"replaced": True})])


async def _cut_off(db: Connection, caller: Caller, place: Place, entry: Entry) -> None:
    await cut_trees.lock_tree(db, entry.id)
    await _demand_all_below(db, caller, place)
    # Every node reads that it was changed, and judges transfer URLs below it anew: their files have no place.
    await cut_trees.cut_off(db, entry.id, as_it_was.in_directory(place))


async def _demand_all_below(db: Connection, caller: Caller, place: Place) -> None:
    """Return when the caller has `d` on everything below, by the ACLs there or by scopes. Raises Forbidden."""
    nobodys = Acl(0, ())
    if acl.allows(caller, place.child("", None, nobodys), Right.DELETE):
        return  # A scope covers it all.
    apart = [s.path for s in caller.scopes if Right.DELETE in s.rights and s.path.startswith(place.lfn + "/")]
    covered = [there.entry.id for there in await places.resolve(db, apart) if there.entry is not None]
    for below in await places.kinds_below(db, place, covered):
        try:
            acl.demand(caller, below, Right.DELETE)
        except Unauthenticated:
            raise
        except MdmError as why:
            refused = Forbidden(
                f"{caller.name} has no right 'd' to all that is below",
                remedy="remove what you may, one by one",
            )
            refused.refusal = why.refusal
            raise refused from None


async def rm(
    database: Database, changed: ChangedHere, caller: Caller, surls: Sequence[str]
) -> list[tuple[str, MdmError | None]]:
    """Remove files. Their transfer URLs die, running transfers stop, their images are destroyed soon."""
    async with database.transaction() as db:
        resolved = await resolve(db, caller, surls)
        found = [_removable(caller, one) for one in resolved]
        where = {
            one[1].entry.id: one[1]
            for one in resolved
            if not isinstance(one, MdmError) and one[1].entry is not None
        }
        wanted = {one.id: one for one in found if isinstance(one, Entry)}
        locked = await locks.locked(db, wanted)
        found = [sqlstates.locked() if isinstance(one, Entry) and one.id in locked else one for one in found]
        wanted = {id_: one for id_, one in wanted.items() if id_ not in locked}
        await rejections.lock_notes(db, [one.image for one in wanted.values() if one.image is not None])
        removed = await entries.remove_files(db, wanted)
        await as_it_was.note(db, {entry: as_it_was.of_file(where[entry]) for entry in removed})
        await images.doom_unreferenced(db, removed.values())
        await acts.record(db, [Act(caller, "rm", guid=wanted[entry].guid) for entry in removed])
    changed.everything()
    results: list[tuple[str, MdmError | None]] = []
    for text, one in zip(surls, found, strict=True):
        if isinstance(one, Entry):
            # Named twice, or removed by somebody else meanwhile: the second time it is not there.
            results.append((text, None if removed.pop(one.id, None) else acl.missing(caller)))
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
        return acl.missing(caller)
    if place.entry.is_directory:
        return IsADirectory(remedy="remove it with rmdir, or rm -r")
    return place.entry
