"""Changing ACLs: of entries, or of all below them that have ACLs of their own, each request in one transaction.

It needs the permission right at the entry. To give somebody `i` needs one's own `i` there besides, or to be an
administrator.
"""

import asyncio
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field

from mdm_async.catalog.namespace import places
from mdm_async.catalog.namespace.places import Acl, Place
from mdm_async.catalog.rights import acl, kept_acls
from mdm_async.catalog.rights.kept_acls import Own
from mdm_async.catalog.trail import acts
from mdm_async.catalog.trail.acts import Act
from mdm_async.errors import BadRequest, Forbidden, MdmError
from mdm_async.images.changed import ChangedHere
from mdm_async.images.surls import resolve
from mdm_async.names import ROOT, Caller, Lfn, Right, split
from mdm_async.postgres.database import Connection, Database
from mdm_async.rules import Kind, Rules, Step, changed, differences, gains_identity

Pair = tuple[Rules | None, Rules | None]
"""What an entry has of its own: its ACL, and the one that it hands down."""

_AT_ONCE = 1000
"""Entries judged between two turns of the event loop."""


@dataclass(frozen=True, slots=True)
class Change:
    """What is to be done with the ACLs of entries."""

    steps: tuple[Step, ...] = ()
    default: bool = False
    """Change what is handed down to entries below, not the entry's own ACL."""
    inherit: bool = False
    """Instead of any step: have none of its own from now on."""
    recursive: bool = False
    """The same with all ACLs of entries below."""
    spares_identities: bool = False
    """Whoever asks, nobody is to gain `i` by it."""


@dataclass(slots=True)
class Counted:
    """Entries whose ACLs were changed, and those that the caller sees but may not change."""

    changed: int = 0
    left: int = 0


async def set_permission(
    database: Database, changed: ChangedHere, caller: Caller, surls: Sequence[str], change: Change
) -> list[tuple[str, Counted | MdmError]]:
    """Change the ACLs of entries, all from how they stood before. One that fails fails no other."""
    if change.inherit == bool(change.steps):
        raise BadRequest(
            "a change of rights either names rules or drops the ACL", remedy='give "rules", or "inherit"'
        )
    async with database.acquire() as db:
        found = [_changeable(caller, one, change) for one in await resolve(db, caller, surls)]
    if not any(isinstance(one, Place) for one in found):  # who may change nothing makes nobody wait
        return [(surl, one) for surl, one in zip(surls, found, strict=True) if isinstance(one, MdmError)]
    async with database.transaction() as db:
        await kept_acls.lock(db)
        root = await places.resolve_one(db, ROOT)
        work = _Work(caller, change, acl.is_administrator(caller, root))
        outcomes = [
            await work.plan(db, _changeable(caller, one, change)) for one in await resolve(db, caller, surls)
        ]
        await _write(db, caller, change, work.planned.values())
    changed.everything()
    return list(zip(surls, outcomes, strict=True))


def _changeable(caller: Caller, found: tuple[object, Place] | MdmError, change: Change) -> Place | MdmError:
    """The place whose ACL a caller may change, or why not."""
    if isinstance(found, MdmError):
        return found
    place = found[1]
    try:
        acl.demand(caller, place, Right.PERMISSION)
    except MdmError as why:
        return why
    if place.entry is None:
        return acl.missing(caller)
    if change.default and not place.entry.is_directory:
        return BadRequest("a file hands nothing down", remedy="name its directory")
    if change.inherit and place.lfn == ROOT and not change.default:
        return BadRequest("the root has nothing to inherit from", remedy="remove its rules instead")
    return place


@dataclass(frozen=True, slots=True)
class _Planned:
    """The ACLs that an entry is to have of its own, and what will be in force at it and below it."""

    place: Place
    after: Pair
    in_force: tuple[Rules, Rules]

    def joined(self, other: "_Planned | None") -> "_Planned":
        """Both changes, where one request comes upon an entry twice."""
        if other is None:
            return self
        before = _own(self.place)
        own, default = (
            mine if mine != was else theirs
            for mine, theirs, was in zip(self.after, other.after, before, strict=True)
        )
        return _Planned(self.place, (own, default), self.in_force)


@dataclass(slots=True)
class _Work:
    """What one request does, planned from how things stand."""

    caller: Caller
    change: Change
    is_administrator: bool
    planned: dict[int, _Planned] = field(default_factory=dict)
    _made: dict[int, Rules] = field(default_factory=dict)
    """What the steps make of ACLs, by the ids of these."""

    async def plan(self, db: Connection, top: Place | MdmError) -> Counted | MdmError:
        """Plan the change of one place, all of it or nothing; or say why there is none."""
        if isinstance(top, MdmError):
            return top
        assert top.entry is not None
        planned: dict[int, _Planned] = {}
        counted = Counted()
        try:
            handed = self._plan(top, self._of_top(top), top.inherited.rules, planned)
            if self.change.recursive and top.entry.is_directory:
                below = await kept_acls.owners_below(db, top.entry.id)
                await self._plan_below(db, below, {top.lfn: handed}, planned, counted)
        except MdmError as why:
            return why
        self.planned |= {id_: one.joined(self.planned.get(id_)) for id_, one in planned.items()}
        counted.changed = len(planned)
        return counted

    async def _plan_below(
        self,
        db: Connection,
        below: Sequence[int],
        handed: dict[Lfn, Rules],
        planned: dict[int, _Planned],
        counted: Counted,
    ) -> None:
        for start in range(0, len(below), _AT_ONCE):
            found = await places.of_entries(db, below[start : start + _AT_ONCE])
            for place in found.values():
                inherited, own = _nearest(handed, place.lfn), _own(place)
                try:
                    acl.demand(self.caller, place, Right.PERMISSION)
                    after = self._changed(place.acl, own[0]), self._changed(place.heritage, own[1])
                    handed[place.lfn] = self._plan(place, after, inherited, planned)
                except BadRequest:
                    raise
                except MdmError:
                    counted.left += acl.allows(self.caller, place, Right.LIST)
                    handed[place.lfn] = _handed(own, inherited)
            await asyncio.sleep(0)

    def _of_top(self, place: Place) -> Pair:
        own, default = _own(place)
        if self.change.default:
            return own, self._begun(place.heritage, default)
        # What lies below and inherits is changed here or not at all.
        return self._begun(place.acl, own), (
            self._changed(place.heritage, default) if self.change.recursive else default
        )

    def _begun(self, in_force: Acl, own: Rules | None) -> Rules | None:
        """Of an entry that inherits, its own begins with what is in force, so that nobody else loses by it."""
        after = self._changed(in_force, in_force.rules)
        sets = any(step.kind is Kind.SET for step in self.change.steps)
        return None if own is None and after == in_force.rules and not sets else after

    def _changed(self, of: Acl, own: Rules | None) -> Rules | None:
        if own is None or self.change.inherit:
            return None
        if of.id not in self._made:
            self._made[of.id] = changed(of.rules, self.change.steps)
        return self._made[of.id]

    def _plan(self, place: Place, after: Pair, inherited: Rules, planned: dict[int, _Planned]) -> Rules:
        """What the place hands down then. Raises Forbidden when somebody would gain an `i` that is not the caller's
        to give."""
        assert place.entry is not None
        in_force = after[0] if after[0] is not None else inherited
        handed = _handed(after, inherited)
        gains = gains_identity(place.acl.rules, in_force) or (
            place.entry.is_directory and gains_identity(place.heritage.rules, handed)
        )
        if gains and self.change.spares_identities:
            raise Forbidden(
                "somebody would see identities by it",
                remedy="give 'i' by rules, where it is meant: mdm acl set",
            )
        if gains and not self.is_administrator:
            acl.demand(self.caller, place, Right.IDENTITY)
        if after != _own(place):
            planned[place.entry.id] = _Planned(place, after, (in_force, handed))
        return handed


def _own(place: Place) -> Pair:
    assert place.entry is not None
    return (
        place.acl.rules if place.entry.acl is not None else None,
        place.heritage.rules if place.entry.default_acl is not None else None,
    )


def _handed(own: Pair, inherited: Rules) -> Rules:
    return next((rules for rules in (own[1], own[0]) if rules is not None), inherited)


def _nearest(handed: dict[Lfn, Rules], lfn: Lfn) -> Rules:
    """What the nearest entry above hands down."""
    while True:
        lfn = split(lfn)[0]
        if lfn in handed:
            return handed[lfn]


async def _write(db: Connection, caller: Caller, change: Change, planned: Collection[_Planned]) -> None:
    if not planned:
        return
    ids = await kept_acls.intern(db, [rules for one in planned for rules in one.after if rules is not None])
    owned = []
    for one in planned:
        assert one.place.entry is not None
        own, default = (ids[rules] if rules is not None else None for rules in one.after)
        owned.append(Own(one.place.entry.id, own, default))
    await kept_acls.assign(db, owned)
    for start in range(0, len(owned), _AT_ONCE):
        some = list(planned)[start : start + _AT_ONCE]
        await acts.record(db, [_act(caller, change, one) for one in some])
        await asyncio.sleep(0)


def _act(caller: Caller, change: Change, one: _Planned) -> Act:
    """Who gained and who lost by it, of the entry's ACL and of what it hands down."""
    assert one.place.entry is not None
    details: dict[str, object] = {"recursive": change.recursive, "inherit": change.inherit}
    before, own = (one.place.acl.rules, one.place.heritage.rules), _own(one.place)
    for at, name in enumerate(("acl", "default")):
        if own[at] != one.after[at]:
            details[name] = differences(before[at], one.in_force[at])
    return Act(caller, "set permission", guid=one.place.entry.guid, details=details)
