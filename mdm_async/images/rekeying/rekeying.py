"""Images given other keys: all that is stored of them is encrypted anew, and nobody who reads is disturbed.

New secrets are registered and new blobs written beside the old. One transaction changes the catalog's rows. The old
keys, and what lies under them, go when nobody reads by them any more.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import partial
from typing import Final
from uuid import UUID
from weakref import WeakValueDictionary

from mdm_async.catalog.holdings import blobs, generations, images
from mdm_async.catalog.holdings.generations import Generation, Keyed
from mdm_async.catalog.holdings.locality import Locality
from mdm_async.catalog.holdings.stored_parts import Part
from mdm_async.catalog.rights import acl
from mdm_async.catalog.trail import acts
from mdm_async.catalog.trail.acts import Act
from mdm_async.catalog.work import superseded_keys
from mdm_async.errors import Busy, Damaged, IsADirectory, MdmError, TooManyRequests
from mdm_async.images.changed import ChangedHere
from mdm_async.images.fairness.shares import Shares
from mdm_async.images.fairness.turns import Turns
from mdm_async.images.parts.depot import Depot
from mdm_async.images.parts.fresh_secrets import FreshSecrets
from mdm_async.images.parts.leases import Leases
from mdm_async.images.rekeying.reencrypting import reencrypted
from mdm_async.images.rekeying.resealing import resealed
from mdm_async.images.surls import existing
from mdm_async.images.transfers.holding import HOLD
from mdm_async.keys.store import KeyStore, Secrets
from mdm_async.names import Caller, Right
from mdm_async.postgres.database import Connection, Database

_AT_ONCE: Final = 2
"""Images that are encrypted anew at once."""
_ATTEMPTS: Final = 5
"""At an image of which other things are made meanwhile."""


@dataclass(frozen=True, slots=True)
class Rekeyed:
    """The file's GUID, and the keys that its image has now. `changed`: they were changed just now."""

    guid: UUID
    keys: Generation
    changed: bool


@dataclass(frozen=True, slots=True, repr=False)
class Rekeying:
    """Of one node. `asked`: how many requests may be at it or wait for it, of all callers and of each."""

    depot: Depot
    keys: KeyStore
    changed: ChangedHere
    turns: Turns
    asked: Shares
    _running: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(_AT_ONCE))
    _accounts: WeakValueDictionary[str, asyncio.Lock] = field(default_factory=WeakValueDictionary)

    @property
    def database(self) -> Database:
        return self.depot.database

    async def rekey(
        self, caller: Caller, surls: Sequence[str], before: datetime | None = None
    ) -> list[tuple[str, Rekeyed | MdmError]]:
        """Give the image of each file other keys; it takes the right 'w'. One that fails fails no other.

        An image whose keys are so new that somebody may still read by those before is left as it is, and so is one that
        has had its keys since `before`, or longer not: so whatever was cut off may be begun again.
        """
        if not self.asked.take(caller.payer):
            raise TooManyRequests("too many of your requests to change keys wait already", retry_after=5)
        try:
            return [(surl, await self._one(caller, surl, before)) for surl in surls]
        finally:
            self.asked.give(caller.payer)

    async def _one(self, caller: Caller, surl: str, before: datetime | None) -> Rekeyed | MdmError:
        try:
            # One of each caller's: whose images are large keeps nobody waiting.
            account = self._accounts.setdefault(caller.payer.account, asyncio.Lock())
            async with account, self._running:
                async with self.turns.turn(caller.payer, 1, first=False), self.database.acquire() as db:
                    guid, image = await _named(db, caller, surl)
                    if (standing := await _standing(db, image, before)) is not None:
                        return Rekeyed(guid, standing, changed=False)
                return await self._rekeyed(caller, surl, guid, image)
        except MdmError as why:
            return why

    async def _rekeyed(self, caller: Caller, surl: str, guid: UUID, image: UUID) -> Rekeyed:
        async with self.database.snapshot() as db:
            found = await generations.keyed(db, image)
        _demand_bytes(found)
        secrets = (await self.keys.fetch([found.registration], identity=True)).of(image, found.registration)
        if secrets is None:
            raise Damaged("the image's stored secrets do not open")
        async with (
            FreshSecrets(self.database, self.keys) as fresh,
            self.depot.leases(caller.payer.room) as leases,
        ):
            await leases.promise(sum(part.cipher_size for part in found.parts if part.blob is not None))
            anew = _Anew(self.depot, leases, secrets, fresh.of(image))
            made = await anew.of(found)
            await fresh.announce()
            for _ in range(_ATTEMPTS):
                async with self.database.transaction() as db:
                    await fresh.be_named(db)
                    await generations.lock_members(db, image)
                    await images.lock(db, image)
                    if (await _named(db, caller, surl))[1] != image:
                        raise acl.missing(caller)
                    now = await generations.keyed(db, image)
                    _demand_bytes(now)
                    if now == found:
                        await blobs.settle(db, list(leases.blobs))
                        await superseded_keys.add(
                            db, found.registration, image, generations.blobs_of(found.parts), HOLD
                        )
                        await generations.replace(db, made)
                        details = {"generation": made.generation}
                        await acts.record(db, [Act(caller, "keys rekey", guid=guid, details=details)])
                        keys = (await generations.generations(db, [image]))[image]
                if now == found:
                    fresh.keep([image])
                    leases.keep()
                    self.changed.everything()
                    return Rekeyed(guid, keys, changed=True)
                if now.registration != found.registration:
                    break
                # A view was made, or something of the image came to be known, meanwhile.
                found, made = now, await anew.of(now)
            raise Busy("other things are made of the image just now", remedy="try again")


@dataclass(slots=True, repr=False)
class _Anew:
    """What lies under one image's keys, under others; parts once only."""

    depot: Depot
    leases: Leases
    before: Secrets
    after: Secrets
    _parts: dict[Part, Part] = field(default_factory=dict)

    async def of(self, found: Keyed) -> Keyed:
        for part in self._parts.keys() - set(found.parts):
            if (blob := self._parts.pop(part).blob) is not None:
                await self.leases.discard(blob)
        for part in found.parts:
            if part not in self._parts:
                self._parts[part] = await reencrypted(self.depot, self.leases, part, self.before, self.after)
        sealed = await self.depot.cipher.run(partial(resealed, found, self.before, self.after))
        return replace(sealed, parts=tuple(self._parts[part] for part in found.parts))


def _demand_bytes(found: Keyed) -> None:
    if found.locality is Locality.LOST:
        raise Damaged("the file is lost: nothing is left to be encrypted", remedy="put it again")


async def _named(db: Connection, caller: Caller, surl: str) -> tuple[UUID, UUID]:
    """The file's GUID and its image."""
    _, entry = await existing(db, caller, surl, Right.WRITE)
    if entry.image is None:
        raise IsADirectory("a directory has no keys", remedy="name its files")
    return entry.guid, entry.image


async def _standing(db: Connection, image: UUID, before: datetime | None) -> Generation | None:
    """The keys that an image has, if it is to keep them."""
    keys = (await generations.generations(db, [image])).get(image)
    if keys is None:
        return None
    if before is not None and keys.keyed >= before:
        return keys
    return keys if image in await superseded_keys.of_images(db, [image]) else None
