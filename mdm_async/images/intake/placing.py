"""A name is made to point to an image, by compare-and-set.

Two different files put under one name have one winner; the same file put twice by one caller succeeds twice.
"""

from dataclasses import dataclass
from uuid import UUID

from mdm_async.catalog.holdings import images, profiles
from mdm_async.catalog.namespace import entries
from mdm_async.catalog.work import views_to_make
from mdm_async.errors import Exists
from mdm_async.images.intake.target import Target
from mdm_async.images.reading.shelf import Shelf
from mdm_async.postgres.database import Connection


@dataclass(frozen=True, slots=True)
class Placing:
    """Gives names to images that are stored and have none yet."""

    shelf: Shelf

    async def place(
        self, db: Connection, target: Target, image: UUID, owner: str, sha256: str | None = None
    ) -> UUID:
        """The GUID of the entry that now points to the image, or to the same bytes that the same owner put before.

        `sha256` (hex) is the image's; without it, what its record says. Raises Exists when another file was first,
        NotFound when the directory has gone.
        """
        await views_to_make.share_demands(db)
        guid, there = await self._point(db, target, image)
        if there == image:
            # A profile may have been applied or replaced while it was on its way.
            await self.shelf.served.refresh(db, now=True)
            enabled = await profiles.enabled_at(db, target.parent)
            await views_to_make.add_lacking(db, [image], enabled, self.shelf.served.newest)
        else:
            await self._demand_same(db, there, image, owner, sha256)
            await images.doom_unreferenced(db, [image])
        return guid

    async def _point(self, db: Connection, target: Target, image: UUID) -> tuple[UUID, UUID]:
        """The entry of that name, and the image that it points to: another one when it was taken before."""
        if target.replaces is not None:
            guid = await entries.swap_image(db, target.parent, target.name, target.replaces, image)
            if guid is not None:
                await images.doom_unreferenced(db, [target.replaces])
                return guid, image
        named = await entries.image_at(db, target.parent, target.name)
        if named is None:
            guid = await entries.add_file(db, target.parent, target.name, image)
            if guid is not None:
                return guid, image
            named = await entries.image_at(db, target.parent, target.name)
        if named is None:
            raise Exists()
        return named

    async def _demand_same(
        self, db: Connection, there: UUID, image: UUID, owner: str, sha256: str | None
    ) -> None:
        """The same bytes, put before by the same caller, are as good as these.

        To others equality is not told: it would let a writer try which patient an image is of.
        """
        if await images.was_brought_by(db, there, owner):
            mine = sha256 or await self._sha256_of(db, image)
            if mine is not None and mine == await self._sha256_of(db, there):
                return
        raise Exists(
            "another file was put under that name first", remedy="look at it, then choose another name"
        )

    async def _sha256_of(self, db: Connection, image: UUID) -> str | None:
        original = await self.shelf.original(db, image)
        return original.sha256 if original is not None else None
