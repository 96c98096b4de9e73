"""Moving and renaming, which gives nobody a right, a view or a way of delivery that they had not before."""

from contextlib import suppress
from dataclasses import dataclass, replace
from enum import Enum, auto
from typing import Final
from uuid import UUID

from mdm_async.catalog.holdings.profiles import enabled_at
from mdm_async.catalog.namespace import entries, moves, places, taking
from mdm_async.catalog.namespace.entries import Below, Entry
from mdm_async.catalog.namespace.places import Acl, Place
from mdm_async.catalog.rights import acl, kept_acls
from mdm_async.catalog.trail import acts
from mdm_async.catalog.trail.acts import Act
from mdm_async.catalog.work import directories_to_check, views_to_make
from mdm_async.catalog.work.views_to_make import lock_demands
from mdm_async.errors import BadRequest, Busy, Exists, Forbidden, NoParent, Unavailable
from mdm_async.images.changed import ChangedHere
from mdm_async.images.names import removal
from mdm_async.images.names.revealing import Named, NameGuard
from mdm_async.images.reading.served import ServedViews
from mdm_async.images.rights.delivery import KINDS, policy
from mdm_async.images.surls import resolve_one
from mdm_async.names import IDENTIFIED, MOST_LEVELS, OPAQUE, ROOT, Caller, Lfn, Right, join, levels_of, split
from mdm_async.postgres.database import Connection, Database
from mdm_async.settings import DeliverySettings, NamingSettings

_LOOKS: Final = 10
"""At what lies in a directory: at all of it, then at what has come meanwhile, which is less each time."""


class Taken(Enum):
    """What becomes of what has the new name already."""

    ENTERED = auto()
    """A directory that the caller sees is moved into; a file is in the way."""
    REFUSED = auto()
    REPLACED = auto()
    """It is removed."""


@dataclass(frozen=True, slots=True)
class Mover:
    """What entries are moved with."""

    database: Database
    served: ServedViews
    standing: DeliverySettings
    """What holds where no directory says how views leave it."""
    changed: ChangedHere
    guard: NameGuard
    naming: NamingSettings

    async def mv(self, caller: Caller, source: str, target: str) -> None:
        """Move or rename; into a directory when the target is one. Raises as `_moved`."""
        await self._moved(caller, source, target, Taken.ENTERED)

    async def rename(self, caller: Caller, source: str, target: str, *, overwrite: bool) -> bool:
        """Give it the name `target` itself; whether something had that name, which is removed with it, in the same
        instant, or stays as it was. Raises as `_moved`."""
        return await self._moved(caller, source, target, Taken.REPLACED if overwrite else Taken.REFUSED)

    async def _moved(self, caller: Caller, source: str, target: str, taken: "Taken") -> bool:
        """As `_mv`, once its new name is known to tell nothing of patients. Raises Busy when files come into a
        directory each time that it has been looked at."""
        announced = set[int]()
        named = None
        try:
            for _ in range(_LOOKS):
                named = await self._silently_named(caller, source, target, taken, named)
                try:
                    return await _mv(self, caller, source, target, named, taken)
                except _MoreBelow:
                    announced.add(named.entry)
                    await self._announce(named.entry)
        finally:
            for directory in announced:
                await self._end(directory)
        raise Busy("files come into the directory meanwhile", remedy="try again", retry_after=1)

    async def _announce(self, directory: int) -> None:
        """Whatever would come into it waits, but for what is coming just now."""
        async with self.database.transaction() as db:
            await moves.announce(db, directory)

    async def _end(self, directory: int) -> None:
        with suppress(Unavailable):  # Nobody waits for it much longer.
            async with self.database.acquire() as db:
                await moves.end(db, directory)

    async def _silently_named(
        self, caller: Caller, source: str, target: str, taken: "Taken", before: "_LookedAt | None"
    ) -> "_LookedAt":
        """What was looked at `before` is not compared again. Raises BadRequest when the new name, or that of a file
        below, tells who its patient is; else as `_mv`."""
        # Who may move nothing, or not there, makes nobody wait, and learns nothing.
        async with self.database.acquire() as db:
            place, entry = await _movable(db, caller, source)
            directory, name, _ = await _target(db, caller, target, place, entry, taken)
            await _demand_levels(db, place, entry, directory)
            lfn = join(directory.lfn, name)
            below, whole = await self._below(db, entry)
        known = before.below if before is not None and before.lfn == lfn else frozenset()
        kept = name if name == entry.name else ""
        named = [
            Named(one.image, one.guid, (lfn + one.path,), split(Lfn(one.path))[1] or kept)
            for one in below
            if one not in known
        ]
        await self.guard.demand_silent(caller, named)
        return _LookedAt(lfn, entry.id, entry.image, known.union(below), whole)

    async def _below(self, db: Connection, entry: Entry) -> tuple[list[Below], bool]:
        """As `images_below`; of a file that itself."""
        if entry.image is not None:
            return [Below(entry.image, entry.guid, "")], True
        return await entries.images_below(db, entry.id, self.naming.looked_at)

    async def demand_looked_at(self, db: Connection, entry: Entry, named: "_LookedAt") -> None:
        """Return when nothing lies below that was not compared, unless there is too much of it. No image gets a name
        meanwhile. Raises _MoreBelow."""
        if named.whole and entry.image is None:
            below, whole = await self._below(db, entry)
            if not (whole and named.below.issuperset(below)):
                raise _MoreBelow


@dataclass(frozen=True, slots=True)
class _LookedAt:
    """A new name that has been compared."""

    lfn: Lfn
    entry: int
    image: UUID | None
    """Whose patient it was compared with."""
    below: frozenset[Below]
    """Files whose names have been compared."""
    whole: bool
    """They were all that there were."""


class _MoreBelow(Exception):
    """Files have come into the directory since it was looked at."""


async def _mv(mover: Mover, caller: Caller, source: str, target: str, named: _LookedAt, taken: Taken) -> bool:
    """Move or rename; whether something was replaced. One transaction that writes a few rows, whatever lies below.

    What the entry has by inheritance and would have otherwise at the new place becomes its own: ACL, default ACL,
    default view, delivery; and that it takes no opaque files, which come to lie only where they are taken. `mdm acl
    set --inherit` takes those of the new directory. Scopes and the right to traverse go by path, so they change; a
    caller who would thereby see more may not move.

    Raises Exists, NotFound, BadRequest, Forbidden. A name that is taken, be it by what the caller may not list, is
    Exists to whoever may write there: a name is given once, so it cannot be hidden from them.
    """
    async with mover.database.transaction() as db:
        await lock_demands(db)
        await kept_acls.lock(db)
        await mover.served.refresh(db, now=True)
        before, entry = await _movable(db, caller, source)
        directory, name, there = await _target(db, caller, target, before, entry, taken)
        if join(directory.lfn, name) != named.lfn:
            raise Busy("a directory of that name has just come or gone", remedy="try again", retry_after=1)
        if (entry.id, entry.image) != (named.entry, named.image):
            raise Busy("another file has just taken its place", remedy="look at it, then try again")
        await mover.demand_looked_at(db, entry, named)
        assert directory.entry is not None
        takes = await _takes_opaque(db, entry, directory.entry)
        kept = _kept(mover.standing, before, entry, directory, name)
        await _demand_nothing_gained(mover.served, db, caller, before, _after(before, kept, directory, name))
        if there is not None and there.entry is not None:
            await removal.take_away(db, caller, there, directory.entry.id, entry)
        await entries.move(db, kept, directory.entry.id, name)
        if takes is not None:
            await taking.say(db, entry.id, "opaque", takes)
        if entry.image is None:
            await directories_to_check.add(db, entry.id)  # its new directory may name other views
        else:
            views = [entry.only_view] if entry.only_view else await enabled_at(db, directory.entry.id)
            await views_to_make.add_lacking(db, [entry.image], views, mover.served.newest)
        now_own = [what for what in _INHERITED if getattr(kept, what) != getattr(entry, what)]
        details = {"kept": now_own} | ({} if named.whole else {"names": "looked at in part"})
        await acts.record(db, [Act(caller, "mv", guid=entry.guid, details=details)])
    mover.changed.everything()
    return there is not None


async def _movable(db: Connection, caller: Caller, source: str) -> tuple[Place, Entry]:
    _, before = await resolve_one(db, caller, source)
    if not acl.may_rename(caller, before):
        acl.demand(caller, before, Right.DELETE)
    if before.entry is None:
        raise acl.missing(caller)
    if before.lfn == ROOT:
        raise BadRequest("the root cannot be moved")
    return before, before.entry


async def _demand_levels(db: Connection, before: Place, entry: Entry, directory: Place) -> None:
    """What lies no deeper than before is let be, so that what once was too deep can be moved up. Raises BadRequest."""
    levels = levels_of(directory.lfn) + 1
    if levels <= levels_of(before.lfn):
        return
    if entry.is_directory:
        await entries.demand_levels(db, entry.id, MOST_LEVELS - levels)
    elif levels > MOST_LEVELS:
        raise BadRequest(
            f"it would lie more than {MOST_LEVELS} levels deep", remedy="choose a place further up"
        )


_INHERITED = ("acl", "default_acl", "default_view", "delivery")


async def _target(
    db: Connection, caller: Caller, target: str, before: Place, entry: Entry, taken: Taken
) -> tuple[Place, str, Place | None]:
    """The directory to move into, where the caller may write, the name there, and what is to be replaced."""
    _, to = await resolve_one(db, caller, target)
    seen = to.entry is not None and acl.allows(caller, to, Right.LIST)
    if taken is Taken.ENTERED and seen and to.entry is not None and to.entry.is_directory:
        acl.demand_create(caller, to.child(entry.name, None))
        return to, entry.name, None
    acl.demand_create(caller, to)
    if to.entry is not None and not (taken is Taken.REPLACED and seen):
        raise Exists("the name is taken", remedy="choose another, or remove what has it")
    if to.entry is None and to.parent is None:
        raise NoParent("the target's directory does not exist", remedy="make it first: mdm mkdir -p")
    if to.entry is not None and f"{before.lfn}/".startswith(f"{to.lfn.rstrip('/')}/"):
        raise Forbidden("this cannot take the place of itself, or of a directory above it")
    above, name = split(to.lfn)
    return await places.resolve_one(db, above), name, to if to.entry is not None else None


def _kept(standing: DeliverySettings, before: Place, entry: Entry, directory: Place, name: str) -> Entry:
    """The entry with as much of its own that at the new place all is in force that was at the old one."""
    moved = _after(before, entry, directory, name)
    if moved.acl.id != before.acl.id:
        entry = replace(entry, acl=before.acl.id)
    if entry.is_directory and _after(before, entry, directory, name).heritage.id != before.heritage.id:
        entry = replace(entry, default_acl=before.heritage.id)
    if moved.default_view != before.default_view:
        entry = replace(entry, default_view=before.default_view)
    was: dict[str, str] = {kind: policy(standing, before, kind) for kind in KINDS}
    other: dict[str, str] = {k: was[k] for k in KINDS if policy(standing, moved, k) != was[k]}
    return replace(entry, delivery=(entry.delivery or {}) | other) if other else entry


def _after(before: Place, entry: Entry, directory: Place, name: str) -> Place:
    """Where the entry would be, with those ACLs that it has of its own."""
    own = before.acl if entry.acl is not None else None
    default = before.heritage if entry.default_acl is not None else None
    return directory.child(name, entry, own, default)


async def _takes_opaque(db: Connection, entry: Entry, directory: Entry) -> bool | None:
    """What the entry says of its own at the new place of opaque files: what held until now; None: what it says now.

    Raises Forbidden when opaque files, or a directory that takes them, would come to lie where they are not taken.
    """
    taken = await taking.taken_at(db, directory.id)
    if entry.image is not None:
        if entry.only_view == OPAQUE and not taken.opaque:
            await taking.demand_takes_opaque(db, directory.id)
        return None
    before = await taking.taken_at(db, entry.id)
    if taken.opaque:
        return None if before.opaque else False
    if before.opaque or await taking.some_take_opaque_below(db, entry.id):
        await taking.demand_takes_opaque(db, directory.id)
    return None


async def _demand_nothing_gained(
    served: ServedViews, db: Connection, caller: Caller, before: Place, after: Place
) -> None:
    """Raises Forbidden when the caller reaches the new place and would see there what they do not see here."""
    pairs = [(before, after)]
    if any(s.covers(after.lfn) and not s.covers(before.lfn) for s in caller.scopes):
        scoped = after.child("", None, Acl(0, ()))
        pairs += [(here, scoped) for here in await places.kinds_below(db, before, ())]
    if not acl.reaches(caller, before) and acl.reaches(caller, after):
        # As if nothing below stood in the way: what is refused too much the owner can move.
        below = await places.kinds_below(db, before, ())
        pairs += [(here, replace(here, lfn=after.lfn, path=after.path)) for here in below]
    views = {IDENTIFIED, before.default_view, *(each.view for each in served)}
    for here, there in pairs:
        asked = [(Right.IDENTITY, None), *((Right.READ, view) for view in views)]
        for right, view in asked:
            if acl.allows(caller, there, right, view) and not acl.allows(caller, here, right, view):
                raise Forbidden(
                    f"{caller.name} would have the right '{right}' there, and has it not here",
                    remedy="ask the owner of the directory to move it",
                )
