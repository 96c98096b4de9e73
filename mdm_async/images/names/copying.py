"""Copies within the namespace: new entries of the same images, which give no more than their maker may read.

Of a file that is the one view that was copied, as `mdm link` makes it; who has the right 'i' and copies the identified
view has a second name for the whole. Nothing is stored twice.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from uuid import UUID

from mdm_async.catalog.holdings import images, rejections
from mdm_async.catalog.holdings.profiles import enabled_at
from mdm_async.catalog.metadata import own_values
from mdm_async.catalog.namespace import dead_properties, entries, places, taking
from mdm_async.catalog.namespace.entries import Listed, NewFile
from mdm_async.catalog.namespace.places import Place
from mdm_async.catalog.rights import acl
from mdm_async.catalog.trail import acts
from mdm_async.catalog.trail.acts import Act
from mdm_async.catalog.work import views_to_make
from mdm_async.errors import BadRequest, Busy, Exists, Forbidden, Gone, NoParent, TooLarge
from mdm_async.images.changed import ChangedHere
from mdm_async.images.names import removal
from mdm_async.images.names.bound import astray, is_bound
from mdm_async.images.names.revealing import Named, NameGuard
from mdm_async.images.reading.served import ServedViews
from mdm_async.images.rights.delivery import KINDS, Kind, policy
from mdm_async.images.rights.opaque_views import demand_offered
from mdm_async.images.surls import resolve_one
from mdm_async.names import IDENTIFIED, OPAQUE, Caller, Lfn, Right, View, parse_lfn, split
from mdm_async.postgres.database import Connection, Database
from mdm_async.settings import DeliverySettings

MOST = 1000
"""Entries of one copy."""


@dataclass(frozen=True, slots=True)
class Copier:
    """What entries are copied with."""

    database: Database
    served: ServedViews
    standing: DeliverySettings
    """What holds where no directory says how views leave it."""
    changed: ChangedHere
    guard: NameGuard

    async def copy(self, caller: Caller, source: str, target: str, *, overwrite: bool, deep: bool) -> bool:
        """Give what `source` names another name as well; whether something had that name, and was replaced.

        A directory is copied without what is in it unless `deep`: all that the caller may list there, which he must be
        allowed to read, or nothing is copied. ACLs, default views and delivery are those of the new directory, but what
        left its source sealed only leaves the copy so too.

        Raises as opening a view and `Mover.rename` do, and TooLarge.
        """
        async with self.database.acquire() as db:
            await self.served.refresh(db)
            found = await self._found(db, caller, source, deep=deep)
            to = await _target(db, caller, target, found[0].place, overwrite=overwrite)
        named = [
            Named(one.image, one.guid, (one.below(to.lfn),), split(Lfn(one.path))[1])
            for one in found
            if one.image is not None
        ]
        await self.guard.demand_silent(caller, named)
        async with self.database.transaction() as db:
            # Before any entry is locked, as whoever moves one does.
            await views_to_make.share_demands(db)
            await self.served.refresh(db, now=True)
            if [one.same for one in await self._found(db, caller, source, deep=deep)] != [
                one.same for one in found
            ]:
                raise Busy("what is copied has just been changed", remedy="try again")
            compared, to = to.lfn, await _target(db, caller, target, found[0].place, overwrite=overwrite)
            if to.lfn != compared:
                raise Busy("the file that is to be replaced has just been moved", remedy="try again")
            await self._make(db, caller, found, to)
        if to.entry is not None:
            self.changed.everything()
        return to.entry is not None

    async def _found(self, db: Connection, caller: Caller, source: str, *, deep: bool) -> list["_Found"]:
        """What is to be copied, directories before what is in them."""
        surl, place = await resolve_one(db, caller, source)
        found = [self._readable(caller, place, "", surl.view)]
        for one in found:  # which grows
            if deep and one.image is None:
                below = await _children(db, caller, one.place, MOST - len(found))
                found += [
                    self._readable(caller, child, f"{one.path}/{split(child.lfn)[1]}", surl.view)
                    for child in below
                ]
        return found

    def _readable(self, caller: Caller, place: Place, path: str, asked: View | None) -> "_Found":
        """Raises as opening the view does, and as listing the directory."""
        if place.entry is not None and place.entry.is_directory:
            acl.demand(caller, place, Right.LIST)
            return _Found(place, path, None, None, ())
        if asked is not None and not self.served.exists(asked):
            raise BadRequest("there is no such view here", remedy="`mdm profile list` names those that are")
        demand_offered(caller, place, asked)
        acl.demand(caller, place, Right.READ, asked)
        if place.entry is None:
            raise acl.missing(caller)
        if not is_bound(self.served.bindings, place.entry):
            raise astray()
        view = asked or place.default_view
        kinds: Sequence[Kind] = KINDS if view == IDENTIFIED else ("deidentified",)
        sealed = tuple(kind for kind in kinds if policy(self.standing, place, kind) == "sealed")
        return _Found(place, path, place.entry.image, view, sealed)

    async def _make(self, db: Connection, caller: Caller, found: Sequence["_Found"], to: Place) -> None:
        above, name = split(to.lfn)
        directory = await places.resolve_one(db, above)
        assert directory.entry is not None
        wanted = [one.image for one in found if one.image is not None]
        if any(one.view == OPAQUE for one in found):
            await taking.demand_takes_opaque(db, directory.entry.id)
        gone = [to.entry.image] if to.entry is not None and to.entry.image is not None else []
        if to.entry is not None:
            await entries.lock_move(db, directory.entry.id, [to.entry.id] if to.entry.is_directory else [])
        await rejections.lock_notes(db, [*wanted, *gone])
        kept = await images.keep(db, wanted)
        if not kept.issuperset(wanted):
            raise Gone("an image has just been deleted")
        if to.entry is not None:
            await removal.take_away(db, caller, to, directory.entry.id)
        guids: list[tuple[_Found, UUID]] = []
        made: dict[str, int] = {}
        files: dict[int, dict[str, _Found]] = {}
        for one in found:
            parent = made[one.path.rpartition("/")[0]] if one.path else directory.entry.id
            label = one.path.rpartition("/")[2] if one.path else name
            if one.image is None:
                made[one.path], guid = await entries.add_directory(db, parent, label)
                guids.append((one, guid))
            else:
                files.setdefault(parent, {})[label] = one
        for parent, named in files.items():
            guids += await self._add(db, directory, parent, named)
        told = [
            (one.place.entry.id, guid)
            for one, guid in guids
            if one.place.entry is not None and acl.sees(caller, one.place)
        ]
        await dead_properties.copy(db, [source for source, _ in told], [guid for _, guid in told])
        described = [
            (one.place.entry.id, guid)
            for one, guid in guids
            if one.place.entry is not None and acl.allows(caller, one.place, Right.GET_METADATA)
        ]
        await own_values.copy(db, [source for source, _ in described], [guid for _, guid in described])
        await acts.record(db, [Act(caller, "copy", guid=guid, view=one.view) for one, guid in guids])

    async def _add(
        self, db: Connection, directory: Place, parent: int, named: Mapping[str, "_Found"]
    ) -> list[tuple["_Found", UUID]]:
        """Files of these names, all in one directory."""
        new, images_by_view = [], defaultdict[View, list[UUID]](list)
        for name, one in named.items():
            assert one.image is not None
            assert one.view is not None
            sealed: dict[str, str] = {
                kind: "sealed" for kind in one.sealed if policy(self.standing, directory, kind) != "sealed"
            }
            only_view = None if one.view == IDENTIFIED else one.view
            new.append(NewFile(name, one.image, only_view, sealed or None))
            images_by_view[one.view].append(one.image)
        guids = await entries.add_files(db, parent, new, bind=self.served.bindings.of)
        for view, of_view in images_by_view.items():
            views = await enabled_at(db, parent) if view == IDENTIFIED else [view]
            await views_to_make.add_lacking(db, of_view, views, self.served.newest)
        return [(one, guids[name]) for name, one in named.items()]


@dataclass(frozen=True, slots=True)
class _Found:
    """An entry to be copied. `path`: from what the copy begins with, which has the empty one."""

    place: Place
    path: str
    image: UUID | None
    view: View | None
    sealed: tuple[Kind, ...]

    @property
    def same(self) -> tuple[str, UUID | None, View | None, tuple[Kind, ...]]:
        return self.path, self.image, self.view, self.sealed

    @property
    def guid(self) -> UUID | None:
        return self.place.entry.guid if self.place.entry is not None else None

    def below(self, target: Lfn) -> Lfn:
        """The name of its copy. Raises BadPath where that is too long or too deep."""
        return parse_lfn(f"{target}{self.path}")


async def _children(db: Connection, caller: Caller, place: Place, most: int) -> list[Place]:
    """What is in a directory that the caller may list. Raises TooLarge when there is more than `most`."""
    assert place.entry is not None
    own = await places.acls_of(db, await entries.own_acls(db, place.entry.id))
    found = await entries.page(db, place.entry.id, Listed(True, list(own)), most + 1)
    if len(found) > most:
        raise TooLarge(
            f"{MOST} entries are copied at once, at the most", remedy="copy them directory by directory"
        )
    default = await places.acls_of(db, [one.default_acl for one in found if one.default_acl is not None])
    all_ = [
        place.child(
            one.name,
            one,
            own[one.acl] if one.acl is not None else None,
            default[one.default_acl] if one.default_acl is not None else None,
        )
        for one in found
    ]
    return [child for child in all_ if acl.allows(caller, child, Right.LIST)]


async def _target(db: Connection, caller: Caller, target: str, source: Place, *, overwrite: bool) -> Place:
    """The new name. Raises as `Mover.rename`."""
    _, to = await resolve_one(db, caller, target)
    acl.demand_create(caller, to)
    if to.entry is not None and not (overwrite and acl.allows(caller, to, Right.LIST)):
        raise Exists("the name is taken", remedy="choose another, or ask to overwrite")
    if to.entry is None and to.parent is None:
        raise NoParent("the target's directory does not exist", remedy="make it first: mdm mkdir -p")
    ours, theirs = f"{source.lfn.rstrip('/')}/", f"{to.lfn.rstrip('/')}/"
    if ours.startswith(theirs) or theirs.startswith(ours):
        raise Forbidden("nothing is copied onto itself, into itself, or in the place of what it is in")
    return to
