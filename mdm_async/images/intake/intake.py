"""What every way in shares: room for the file, an image and views of it, and a name that tells nobody the patient."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from uuid import uuid4

from mdm_async.catalog.namespace.taking import taken_at
from mdm_async.errors import BadRequest
from mdm_async.images.budget import Budget
from mdm_async.images.intake.draft import Draft, Registered
from mdm_async.images.intake.opaque import OpaqueQuota
from mdm_async.images.intake.placing import Placing
from mdm_async.images.intake.target import Room
from mdm_async.images.reading.served import Served
from mdm_async.images.reading.shelf import Shelf
from mdm_async.images.views.workshop import Workshop
from mdm_async.names import Lfn, Payer, join
from mdm_async.postgres.database import Database
from mdm_async.postgres.turns import on_behalf
from mdm_async.settings import NamingSettings


@dataclass(frozen=True, slots=True)
class Intake:
    """Takes files in, up to `largest` bytes each."""

    workshop: Workshop
    shelf: Shelf
    placing: Placing
    naming: NamingSettings
    largest: int
    budget: Budget
    """Of the memory that heads are kept in until they are scrubbed."""
    opaque: OpaqueQuota

    @property
    def database(self) -> Database:
        return self.workshop.depot.database

    async def room(self, payer: Payer) -> Room:
        """What this one may bring. Raises DatabaseFull."""
        self.workshop.depot.disks.demand_room()
        return Room(await self.workshop.depot.blobs.free(payer.room), self.largest)

    @asynccontextmanager
    async def draft(
        self,
        directory: int,
        body: AsyncIterator[bytes],
        payer: Payer,
        *,
        announced: int | None,
        force: bool = False,
        issued_by: str | None = None,
        opaque: bool = False,
    ) -> AsyncIterator[Draft]:
        """The whole file, with the views that this directory's files get. It goes with the context unless kept.

        `announced`: bytes that there must be. `force`: somebody vouches for a file that breaks PS3.10; the directory
        may do so for all, and it may take files that are not DICOM. `payer` has its head in memory, and room on the
        disk set aside. `issued_by`: as of `issuer_of`. `opaque`: another site took it as that. Raises as `Draft.fill`.
        """
        if on_behalf.get():  # until now that of the address which the transfer URL is used from
            on_behalf.set(payer.account)
        async with self.database.acquire() as db:
            await self.shelf.served.refresh(db)
            taken = await taken_at(db, directory)
        served = self.shelf.served.among(taken.views)
        quota = self.opaque if taken.opaque or opaque else None
        with self.budget.holding(payer) as held:
            async with Draft(
                self.workshop,
                self.shelf.keys,
                served,
                held,
                force=force or taken.force,
                opaque=quota,
                issued_by=issued_by,
            ) as draft:
                await draft.fill(body, limit=self.largest, announced=announced)
                yield draft

    @asynccontextmanager
    async def filling(
        self,
        registered: Registered,
        served: Sequence[Served],
        body: AsyncIterator[bytes],
        payer: Payer,
        issued_by: str | None,
    ) -> AsyncIterator[Draft]:
        """As `draft`, of an image that was registered without its bytes."""
        with self.budget.holding(payer) as held:
            async with Draft(
                self.workshop, self.shelf.keys, served, held, registered=registered, issued_by=issued_by
            ) as draft:
                await draft.fill(body, limit=self.largest, announced=None)
                yield draft

    async def safe_name(self, draft: Draft, directory: Lfn, name: str) -> str:
        """The file's name; another one when it tells who the patient is and `naming.identifying` is `rename`.

        Raises BadRequest when that does not help.
        """
        # Off the loop: the patient's attributes may lie behind many others.
        return await self.workshop.cipher.run(partial(self._safe_name, draft, directory, name))

    def _safe_name(self, draft: Draft, directory: Lfn, name: str) -> str:
        if not draft.reveals(join(directory, name)):
            return name
        if self.naming.identifying == "rename" and not draft.reveals(directory):
            return f"{uuid4()}.dcm"
        raise BadRequest(
            "the file's name holds identifiers of its patient, which users without the right to them would see",
            remedy="choose a name without the patient's name, ID or accession number",
        )
