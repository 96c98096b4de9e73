"""Look into stored images, one after the other, and mend what can be had again: by pages, so that it may be broken off
and gone on with, and goes as slowly as whoever asks for it likes. Beside that it goes on by itself, all the time.

What is found is kept until the image is found well, or gone.
"""

import asyncio
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final
from uuid import UUID

import structlog

from mdm_async.blobs.store import BlobStore
from mdm_async.catalog.holdings import damage, generations, images, made_views
from mdm_async.catalog.holdings.damage import Damage, Standing
from mdm_async.catalog.holdings.generations import Keyed
from mdm_async.catalog.namespace import bindings, paths
from mdm_async.catalog.namespace.bindings import Bound
from mdm_async.catalog.rights.acl import demand_administrator
from mdm_async.catalog.trail import acts
from mdm_async.catalog.trail.acts import Act
from mdm_async.catalog.work import views_to_make
from mdm_async.errors import Gone, Unavailable
from mdm_async.images.cipher_pool import CipherPool
from mdm_async.images.metrics import DAMAGED_PARTS
from mdm_async.images.reading.suspects import listening
from mdm_async.images.transfers.cache import Cache
from mdm_async.images.upkeep.looking import ENTRY, LOST, Looked, looked_into
from mdm_async.keys.derive import EntryBindings
from mdm_async.keys.store import KeyStore
from mdm_async.names import IDENTIFIED, OPAQUE, Caller, View
from mdm_async.postgres.database import Database

_PAGE: Final = 100
_TURN: Final = 1.0
"""Seconds of work at a time where it goes on by itself."""
_REST: Final = 2.0
"""Seconds between."""
_NAMED: Final = 10
"""Names of a damaged image that are told."""
_ORIGINALS: Final = (IDENTIFIED, OPAQUE)

_log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Found:
    """An image that is damaged, under these names (some of them), and whether all of it is mended, or soon will be."""

    image: UUID
    damage: Sequence[Damage]
    names: Sequence[str] = ()
    repaired: bool = False


@dataclass(slots=True)
class Checked:
    """So many images and bytes of ciphertext were looked at; `next`: after which image to go on, None: that was all."""

    found: list[Found] = field(default_factory=list)
    images: int = 0
    bytes: int = 0
    next: UUID | None = None


@dataclass(frozen=True, slots=True)
class DeepCheck:
    """Of one node."""

    database: Database
    keys: KeyStore
    blobs: BlobStore
    cipher: CipherPool
    cache: Cache
    bindings: EntryBindings

    async def page(self, caller: Caller, after: UUID, seconds: float, *, repair: bool) -> Checked:
        """The images behind this one, for about so many seconds, one at least. Each is read whole.

        With `repair`, views are made anew, and what an archive has too is let go, to be brought again when somebody
        asks. Raises Forbidden; Unavailable when a store is away.
        """
        async with self.database.acquire() as db:
            await demand_administrator(db, caller)
            if repair:
                await acts.record(db, [Act(caller, "fsck repair", details={"deep": True})])
        checked, damaged = await self._look(after, seconds)
        for image, found in damaged.items():
            repaired = repair and await self._mended(caller, image, found)
            checked.found.append(await self._told(image, found, repaired=repaired))
        return checked

    async def known(self, caller: Caller, after: UUID) -> tuple[Checked, Standing]:
        """What was found of images behind this one, some of them, and is not mended; nothing is read. And how far the
        check that goes on by itself is."""
        async with self.database.acquire() as db:
            await demand_administrator(db, caller)
            rows = await damage.page(db, after, _PAGE)
            standing = await damage.standing(db)
        images_: dict[UUID, list[Damage]] = {}
        for image, one in rows:
            images_.setdefault(image, []).append(one)
        checked = Checked(next=rows[-1][0] if len(images_) == _PAGE else None)
        for image, found in images_.items():
            checked.found.append(await self._told(image, found))
        return checked, standing

    async def _not_had_again(self, damaged: Mapping[UUID, list[Damage]]) -> dict[UUID, list[Damage]]:
        """What is lost is had again where it can be: from its archive when somebody asks, or made anew; the rest."""
        left: dict[UUID, list[Damage]] = {}
        for image, found in damaged.items():
            lost = [one for one in found if one.kind == LOST]
            originals = any(one.view in _ORIGINALS for one in lost)
            if originals and await self.cache.lose(image):
                _log.warning(
                    "a stored image is lost here, and brought again when somebody asks", image=str(image)
                )
                continue
            if lost and not originals:
                await self._made_anew(image, lost)
                found = [one for one in found if one.kind != LOST]
            if found:
                left[image] = found
        return left

    async def forever(self, days: float) -> None:
        """All images once in so many days, a little at a time; 0: never. A node that is alone at it, of all."""
        DAMAGED_PARTS.set(await self._damaged_parts())
        while days:
            await asyncio.sleep(_REST)
            async with self.database.transaction() as db:
                after = await damage.turn(db, days * 24 * 3600)
            if after is None:
                continue
            next_: UUID | None = after
            try:
                checked, _ = await self._look(after, _TURN)
                next_ = checked.next
            finally:
                async with self.database.acquire() as db:
                    await damage.end_turn(db, next_)
            DAMAGED_PARTS.set(await self._damaged_parts())

    async def suspected(self) -> None:
        """Images that a reader on this node failed on, one after the other: what is found is put down as by any other
        check."""
        with listening() as suspects:
            while True:
                image = await suspects.next()
                looked = await self._looked_into(image)
                damaged = {image: looked.damage} if looked.damage else {}
                await self._put_down([image], await self._not_had_again(damaged))
                DAMAGED_PARTS.set(await self._damaged_parts())

    async def _damaged_parts(self) -> int:
        async with self.database.acquire() as db:
            return await damage.parts(db)

    async def _look(self, after: UUID, seconds: float) -> tuple[Checked, dict[UUID, list[Damage]]]:
        async with self.database.acquire() as db:
            some = await images.here(db, after, _PAGE)
        checked, ends = Checked(), time.monotonic() + seconds
        damaged: dict[UUID, list[Damage]] = {}
        for image in some:
            try:
                looked = await self._looked_into(image)
            except Unavailable:
                if not checked.images:
                    raise
                break  # What was found is put down first.
            checked.images += 1
            checked.bytes += looked.bytes
            checked.next = image
            if looked.damage:
                damaged[image] = looked.damage
            if time.monotonic() > ends:
                break
        looked_at = some[: checked.images]
        await self._put_down(looked_at, damaged)
        if len(some) < _PAGE and len(looked_at) == len(some):
            checked.next = None
        return checked, damaged

    async def _put_down(self, looked_at: Sequence[UUID], damaged: Mapping[UUID, Sequence[Damage]]) -> None:
        for image, found in damaged.items():
            kinds = sorted({one.kind for one in found})
            _log.error("a stored image is damaged", image=str(image), kinds=kinds, remedy="mdm fsck --known")
        async with self.database.transaction() as db:
            await damage.put_down(db, looked_at, [(at, one) for at, all_ in damaged.items() for one in all_])

    async def _looked_into(self, image: UUID) -> Looked:
        """Once more where something is amiss: images are changed, evicted and removed meanwhile."""
        before: Keyed | None = None
        while True:
            try:
                async with self.database.snapshot() as db:
                    found = await generations.keyed(db, image)
                    entries = await bindings.of_image(db, image)
            except Gone:
                return Looked()
            astray = self._astray(entries)
            if not found.locality.is_online:
                return Looked(astray)
            fetched = await self.keys.fetch([found.registration], identity=True)
            looked = await looked_into(self.blobs, self.cipher, found, fetched.of(image, found.registration))
            looked.damage += astray
            if not looked.damage or found == before:
                return looked
            before = found

    def _astray(self, entries: Sequence[Bound]) -> list[Damage]:
        """Entries that were not given the image they point to."""
        return [
            Damage(ENTRY, f"the entry {one.guid} was given another image than it points to")
            for one in entries
            if not self.bindings.fits(one.guid, one.image, one.only_view, one.binding)
        ]

    async def _told(self, image: UUID, found: Sequence[Damage], *, repaired: bool = False) -> Found:
        async with self.database.acquire() as db:
            names = await paths.of_images(db, [image])
        return Found(image, found, [str(name) for name in names[:_NAMED]], repaired)

    async def _mended(self, caller: Caller, image: UUID, found: Sequence[Damage]) -> bool:
        """Whether all that is damaged can be had again, and will be."""
        if any(one.kind == ENTRY for one in found):
            return False
        if any(one.view is None or one.view in _ORIGINALS for one in found):
            return isinstance(await self.cache.evict(image, caller), int)
        await self._made_anew(image, found)
        return True

    async def _made_anew(self, image: UUID, found: Sequence[Damage]) -> None:
        async with self.database.transaction() as db:
            await images.lock(db, image)
            for view, version in {(one.view, one.version) for one in found if one.view is not None}:
                await made_views.drop(db, (image, view, version))
                await views_to_make.add(db, [(image, View(view))])
