"""Shredding: images are destroyed with all that opens them, in all projects, and a signed receipt says so.

One transaction ends them for everybody: entries, transfer URLs, and what is to be destroyed is written down. Then keys
go, rows and blobs; who is stopped in between, or finds a key store away, leaves it to `finishing`.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from uuid import UUID, uuid4

from mdm_async.catalog.grants import shredding as transfers
from mdm_async.catalog.holdings import shredding
from mdm_async.catalog.mirrors import read_only
from mdm_async.catalog.namespace import entries
from mdm_async.catalog.rights import acl
from mdm_async.catalog.trail import acts
from mdm_async.catalog.trail.acts import Act
from mdm_async.catalog.work import shreds, superseded_keys
from mdm_async.catalog.work.shreds import Shred, ShreddedImage
from mdm_async.errors import BadRequest, Conflict, Forbidden, IsADirectory, MdmError
from mdm_async.images.changed import ChangedHere
from mdm_async.images.reading.shelf import Shelf
from mdm_async.images.shredding import patients, plan
from mdm_async.images.shredding.destroying import Destroyer
from mdm_async.images.shredding.plan import Counts, Plan
from mdm_async.images.surls import resolve
from mdm_async.images.transfers.warm import WarmTurls
from mdm_async.images.views.workshop import Workshop
from mdm_async.names import Caller, Right
from mdm_async.postgres.database import Connection, Database


@dataclass(frozen=True, slots=True, repr=False)
class Wanted:
    """What is to be shredded: files by name, or all images of a patient, by pseudonym or Patient ID.

    `granted`: by an administrator's grant, which is audited, instead of `d` and `i` on every entry.
    """

    surls: Sequence[str] = ()
    patient: str = ""
    granted: bool = False
    issuer: str | None = None
    """Of the Patient ID: only patients of this one, "" of none; None: of whomever."""
    people: int = 1
    """How many different ones the images of a patient may name: one Patient ID can be that of several."""


@dataclass(frozen=True, slots=True)
class Found:
    """What would be shredded. `people`: how many different ones the images of a patient name; None if not looked at.

    `unreadable`: images that may be theirs, and whose originals do not open. They are left out.
    """

    counts: Counts
    people: int | None = None
    unreadable: int = 0


@dataclass(frozen=True, slots=True, repr=False)
class Shredder:
    """Of one node."""

    database: Database
    workshop: Workshop
    shelf: Shelf
    destroyer: Destroyer
    warm: WarmTurls
    changed: ChangedHere

    async def look(self, caller: Caller, wanted: Wanted) -> Found:
        """What would go, in all projects; nothing is changed. Raises NotFound, Forbidden, as for other names."""
        whose = await self._images(caller, wanted)
        async with self.database.acquire() as db:
            found = await plan.plan(db, caller, whose.images)
        if not found.images:
            raise acl.missing(caller)
        return Found(Counts.of(found), whose.people, whose.unreadable)

    async def shred(self, caller: Caller, wanted: Wanted, id_: UUID, digest: str) -> Shred:
        """Shred what was looked at before: `digest` is that of its counts. `id_`, the caller's, makes a repetition
        harmless. Raises Conflict when it is not the same any more, Forbidden without the rights to all of it."""
        known = await self._known(caller, id_)
        if known is None:
            whose = await self._images(caller, wanted)
            if whose.people is not None and whose.people > 1 and whose.people != wanted.people:
                raise Conflict(
                    f"images with this Patient ID name {whose.people} different people",
                    remedy="choose those of one issuer (mdm shred --issuer); or look at them, and if all are one "
                    f"patient's, say so: --people {whose.people}",
                )
            async with self.database.transaction() as db:
                await read_only.excuse(db, "shred")
                await plan.lock(db, whose.images)
                found = await plan.plan(db, caller, whose.images)
                _demand(caller, found, digest, granted=wanted.granted)
                await self._end(db, caller, id_, found, granted=wanted.granted)
            self._gone({one.image for one in found.images})
        await self.destroyer.destroy(id_)
        known = await self._known(caller, id_)
        assert known is not None
        return known

    async def follow(self, caller: Caller, images: Collection[UUID]) -> None:
        """Shred what another site, which these images follow, has shredded: whoever has rights to them here."""
        id_ = uuid4()
        async with self.database.transaction() as db:
            await read_only.excuse(db, "follows")
            await plan.lock(db, images)
            found = await plan.plan(db, caller, images)
            if not found.images:
                return
            await self._end(db, caller, id_, found, granted=True)
        self._gone({one.image for one in found.images})
        await self.destroyer.destroy(id_)

    def _gone(self, images: Collection[UUID]) -> None:
        self.changed.everything()
        self.warm.end_of(images)

    async def _known(self, caller: Caller, id_: UUID) -> Shred | None:
        async with self.database.acquire() as db:
            known = await shreds.get(db, id_)
        if known is not None and known.owner != caller.owner:
            raise Conflict("there is a shred of that id", remedy="choose another id")
        return known

    async def _images(self, caller: Caller, wanted: Wanted) -> patients.Theirs:
        """The images that are wanted. Raises for the first that the caller may not shred."""
        if bool(wanted.surls) == bool(wanted.patient):
            raise BadRequest("name either files or a patient")
        if wanted.issuer is not None and not wanted.patient:
            raise BadRequest("an issuer is one of a Patient ID", remedy="name the patient")
        if wanted.granted:
            await self._grant(caller)
        if wanted.patient:
            return await patients.images_of(
                self.workshop, self.shelf, caller, wanted.patient, wanted.issuer, granted=wanted.granted
            )
        async with self.database.acquire() as db:
            found = await resolve(db, caller, wanted.surls)
        named = set()
        for number, one in enumerate(found, 1):
            try:
                if isinstance(one, MdmError):
                    raise one
                place = one[1]
                acl.demand(caller, place, Right.DELETE)
                if place.entry is None:
                    raise acl.missing(caller)
                if not wanted.granted and not acl.may_shred(caller, place):
                    acl.demand(caller, place, Right.IDENTITY)
                if place.entry.image is None:
                    raise IsADirectory(remedy="name its files, or the patient")
            except MdmError as why:
                if len(found) > 1:
                    why.detail = f"name {number} of {len(found)}: {why.detail}"
                raise
            named.add(place.entry.image)
        return patients.Theirs(named)

    async def _grant(self, caller: Caller) -> None:
        """Let an administrator shred what others gave no right to; it is in the audit before anything is told."""
        async with self.database.transaction() as db:
            await acl.demand_administrator(db, caller)
            await acts.record(db, [Act(caller, "shred grant")])

    async def _end(self, db: Connection, caller: Caller, id_: UUID, found: Plan, *, granted: bool) -> None:
        """Nobody reaches the images any more once this is committed."""
        ids = [one.image for one in found.images]
        told = found.told()
        await shreds.begin(db, id_, caller.name, caller.owner, len(ids), granted=granted)
        await shreds.add_images(
            db,
            id_,
            [
                ShreddedImage(one.image, one.registration, one.blobs, told[one.image], one.older)
                for one in found.images
            ],
        )
        await entries.remove_files(db, [entry for entry, _, _ in found.entries])
        await transfers.end(db, ids)
        await shredding.doom(db, ids)
        await superseded_keys.end_of_images(db, ids)
        details = {"shred": str(id_), "granted": granted}
        await acts.record(
            db, [Act(caller, "shred", guid=guid, details=details) for _, guid, _ in found.entries]
        )
        await acts.record(db, [Act(caller, "shred", details={**details, "images": len(ids)})])


def _demand(caller: Caller, found: Plan, digest: str, *, granted: bool) -> None:
    if not found.images:
        raise acl.missing(caller)
    if found.digest != digest:
        raise Conflict(
            "images or names have come or gone since it was looked at", remedy="look again, then shred"
        )
    if found.barred and not granted:
        raise Forbidden(
            f"{caller.name} has not both rights 'd' and 'i' at {found.barred} of {len(found.entries)} entries",
            remedy="have an administrator do it: mdm shred --as-administrator",
        )
