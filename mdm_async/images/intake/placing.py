"""A name is made to point to an image, by compare-and-set.

Two different files put under one name have one winner; the same file put twice by one caller succeeds twice.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from typing import Final, TypeVar
from uuid import UUID

from mdm_async.blobs.store import BlobStore
from mdm_async.catalog.holdings import bringers, images, rejections
from mdm_async.catalog.namespace import entries, moves
from mdm_async.catalog.namespace.entries import Entry
from mdm_async.catalog.namespace.taking import demand_takes_opaque
from mdm_async.catalog.work import views_to_make
from mdm_async.errors import Busy, Exists
from mdm_async.images.changed import ChangedHere
from mdm_async.images.intake.rejecting import reject
from mdm_async.images.intake.target import Target
from mdm_async.images.parts.presence import present
from mdm_async.images.reading.shelf import Shelf
from mdm_async.names import Caller, View
from mdm_async.postgres.database import Connection, Database

T = TypeVar("T")

_LONGEST: Final = 30.0
"""Seconds that a name waits for moves of its directory, one after the other."""
_SOONEST: Final = 0.05
_LATEST: Final = 0.5
"""Seconds between two looks at whether a move goes on: each wait is twice as long as the one before."""


@dataclass(frozen=True, slots=True)
class Placing:
    """Gives names to images that are stored and have none yet."""

    shelf: Shelf
    blobs: BlobStore
    changed: ChangedHere

    async def placed(self, bytes_: "Bytes", work: Callable[["Same"], Awaitable[T]]) -> T:
        """What `work` comes to, a transaction that calls `place`. Raises as that, and as `place`.

        Whether the name was taken by the same bytes only the stores know, for which no transaction waits: they are
        asked in between, and the work done again; and so it is when the directory has been moved that was about to be.
        """
        same, until = Same(frozenset()), time.monotonic() + _LONGEST
        while True:
            try:
                done = await work(same)
            except _Moving as move:
                if not await _has_ended(bytes_.database, move.directory, until):
                    raise
            except _Taken as taken:
                if taken.image in same.images or not await self._is_same(bytes_, taken.image):
                    raise _exists() from None
                if taken.image not in await present(bytes_.database, self.blobs, [taken.image]):
                    raise Exists(
                        "the file of that name has the same bytes, and they are damaged here",
                        remedy="put it in place of that one",
                    ) from None
                same = Same(same.images | {taken.image})
            else:
                if bytes_.outdates:
                    self.changed.everything()
                return done

    async def place(
        self,
        db: Connection,
        caller: Caller,
        target: Target,
        image: UUID,
        owner: str,
        same: "Same",
        only: View | None,
        base: int | None = None,
    ) -> UUID:
        """The GUID of the entry that now points to the image, or to the same bytes that the same owner put before, in a
        transaction that shares the demands. `only`: the one view that the file gives.

        `base`: the directory below which a rejection note counts for what comes later; None: that of its name. Raises
        Exists when another file was first, NotFound when the directory has gone, Forbidden when it does not take what
        is not DICOM, Busy when it is about to be moved.
        """
        if (moving := await moves.announced(db, target.parent)) is not None:
            raise _Moving(moving)
        is_note = await rejections.lock(db, image, target.replaces)
        if only is not None:
            await demand_takes_opaque(db, target.parent)
        guid, there = await self._point(db, target, image, only)
        if there == image and only is None:
            await self._have_views(db, image, target.parent)
        elif there != image:
            # The same bytes, put before by the same caller, are as good as these. To others equality is not told: it
            # would let a writer try which patient an image is of.
            if not await bringers.was_brought_by(db, there, owner):
                raise _exists()
            if there not in same.images:
                raise _Taken(there)
            await images.doom_unreferenced(db, [image])
        if is_note:
            await reject(db, caller, there, guid, target.parent if base is None else base, owner)
        return guid

    async def renew(
        self,
        db: Connection,
        caller: Caller,
        entry: Entry,
        image: UUID,
        owner: str,
        base: int,
        to: tuple[int, str] | None,
        *,
        closed: bool,
    ) -> UUID | None:
        """Let a file point to a new version of its image, and take it to another directory and name with that: its
        GUID, or None when it has gone, or points to another by now. The old version goes once nothing refers to it.
        `closed`: as of `swap_image`; `base`: as of `place`.

        Raises NoParent. Call `changed` once it is committed.
        """
        assert entry.parent is not None
        assert entry.image is not None
        is_note = await rejections.lock(db, image, entry.image)
        guid = await entries.swap_image(
            db,
            entry.parent,
            entry.name,
            entry.image,
            image,
            to=to,
            closed=closed,
            bind=self.shelf.served.bindings.of,
        )
        if guid is not None:
            await images.doom_unreferenced(db, [entry.image])
            await self._have_views(db, image, to[0] if to is not None else entry.parent)
            if is_note:
                await reject(db, caller, image, guid, base, owner)
        return guid

    async def _have_views(self, db: Connection, image: UUID, directory: int) -> None:
        """A profile may have been applied or replaced while it was on its way."""
        served = self.shelf.served
        while await served.learn(db, await views_to_make.add_lacking_at(db, image, directory, served.newest)):
            pass

    async def _point(
        self, db: Connection, target: Target, image: UUID, only: View | None
    ) -> tuple[UUID, UUID]:
        """The entry of that name, and the image that it points to: another one when it was taken before."""
        bind = self.shelf.served.bindings.of
        if target.replaces is not None:
            guid = await entries.swap_image(
                db, target.parent, target.name, target.replaces, image, only, bind=bind
            )
            if guid is not None:
                await images.doom_unreferenced(db, [target.replaces])
                return guid, image
        named = await entries.add_file_unless_named(db, target.parent, target.name, image, only, bind=bind)
        if named is None:
            raise Exists()
        return named

    async def _is_same(self, mine: "Bytes", there: UUID) -> bool:
        sha256 = mine.sha256 or await self._sha256_of(mine)
        return sha256 is not None and sha256 == await self._sha256_of(replace(mine, image=there))

    async def _sha256_of(self, bytes_: "Bytes") -> str | None:
        original = await self.shelf.original(bytes_.database, bytes_.image)
        return original.sha256 if original is not None else None


@dataclass(frozen=True, slots=True)
class Bytes:
    """An image that is to be placed. `sha256` (hex) is its original's; without it, what its record says."""

    database: Database
    image: UUID
    sha256: str | None = None
    outdates: bool = False
    """What was read until now is read no more: the name may have been another file's, or these reject others."""


@dataclass(frozen=True, slots=True)
class Same:
    """Images that are known to have the same bytes."""

    images: frozenset[UUID]


class _Moving(Busy):
    """Whoever moves the directory looks at what lies below it for the last time."""

    def __init__(self, directory: int) -> None:
        super().__init__("the directory is being moved", remedy="try again", retry_after=1)
        self.directory = directory


async def _has_ended(database: Database, move: int, until: float) -> bool:
    """Whether it is over before then. What is to be done after it is much, and not tried in vain meanwhile."""
    pause = _SOONEST
    while time.monotonic() < until:
        await asyncio.sleep(pause)
        async with database.acquire() as db:
            if not await moves.is_going_on(db, move):
                return True
        pause = min(2 * pause, _LATEST)
    return False


class _Taken(Exists):
    """The name points to an image of the same owner's, which may be the same."""

    def __init__(self, image: UUID) -> None:
        super().__init__()
        self.image = image


def _exists() -> Exists:
    return Exists("another file was put under that name first", remedy="look at it, then choose another name")
