"""The keys of images destroyed for good, and with them all that is stored; their names stay, of files that are lost."""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from uuid import UUID

from mdm_async.catalog.grants import shredding as transfers
from mdm_async.catalog.holdings import locality, shredding
from mdm_async.catalog.rights import acl
from mdm_async.catalog.trail import acts
from mdm_async.catalog.trail.acts import Act
from mdm_async.catalog.work import keys_to_forget, superseded_keys
from mdm_async.errors import Forbidden, IsADirectory, MdmError, Unavailable
from mdm_async.images.changed import ChangedHere
from mdm_async.images.shredding import plan
from mdm_async.images.surls import resolve_one
from mdm_async.images.transfers.warm import WarmTurls
from mdm_async.keys.store import KeyStore
from mdm_async.names import Caller, Right
from mdm_async.postgres.database import Connection, Database


@dataclass(frozen=True, slots=True, repr=False)
class Unregistering:
    """Of one node."""

    database: Database
    keys: KeyStore
    warm: WarmTurls
    changed: ChangedHere

    async def unregister(self, caller: Caller, surls: Sequence[str]) -> list[tuple[str, UUID | MdmError]]:
        """The GUID of each file whose image can never be read again, by this name or another.

        It takes `d` and `i` on every entry of the image. One that fails fails no other. A key store that is away
        destroys its keys when it is back.
        """
        return [(surl, await self._one(caller, surl)) for surl in surls]

    async def _one(self, caller: Caller, surl: str) -> UUID | MdmError:
        try:
            async with self.database.acquire() as db:
                _, image = await self._named(db, caller, surl)
            async with self.database.transaction() as db:
                await plan.lock(db, [image])
                guid, now = await self._named(db, caller, surl)
                if now != image:
                    raise acl.missing(caller)
                ended = await self._end(db, caller, image)
        except MdmError as why:
            return why
        self.changed.everything()
        self.warm.end_of({image})
        with suppress(Unavailable):  # the sweeper tells it again
            await self.keys.forget(ended)
        return guid

    async def _named(self, db: Connection, caller: Caller, surl: str) -> tuple[UUID, UUID]:
        """The file's GUID and its image. Raises as for shredding it."""
        _, place = await resolve_one(db, caller, surl)
        acl.demand(caller, place, Right.DELETE)
        if place.entry is None:
            raise acl.missing(caller)
        if not acl.may_shred(caller, place):
            acl.demand(caller, place, Right.IDENTITY)
        if place.entry.image is None:
            raise IsADirectory("a directory has no keys", remedy="name its files")
        return place.entry.guid, place.entry.image

    async def _end(self, db: Connection, caller: Caller, image: UUID) -> list[UUID]:
        """The registrations that it had."""
        found = await plan.plan(db, caller, [image])
        if not found.images:
            raise acl.missing(caller)
        if found.barred:
            raise Forbidden(
                f"{caller.name} has not both rights 'd' and 'i' at {found.barred} of {len(found.entries)} entries",
                remedy="have an administrator shred it: mdm shred --as-administrator",
            )
        known = await locality.registered(db, [image])
        registration, _ = known[image]
        await transfers.end(db, [image])
        await shredding.lose(db, [image])
        older = await superseded_keys.end_of_images(db, [image])
        await keys_to_forget.add(db, [registration])
        await keys_to_forget.add_older(db, older)
        await acts.record(db, [Act(caller, "keys unregister", guid=guid) for _, guid, _ in found.entries])
        return [registration, *older]
