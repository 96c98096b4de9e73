"""Leases of blobs being written: announced before the first byte, renewed while the upload lives."""

import asyncio
from collections.abc import Iterable
from contextlib import suppress
from types import TracebackType
from typing import Self
from uuid import UUID

from mdm_async.blobs.store import BlobStore, BlobWriter
from mdm_async.catalog.holdings import blobs
from mdm_async.errors import MdmError
from mdm_async.images.disks import Disks
from mdm_async.images.uninterrupted import uninterrupted
from mdm_async.postgres.database import Database


class Leases:
    """The blobs of one upload, as a context: unless `keep` was called, nothing of them stays behind."""

    def __init__(
        self, database: Database, store: BlobStore, disks: Disks, seconds: float, payer: str
    ) -> None:
        """`payer` answers for what its blobs take of the disk; "" is the server itself."""
        self._database, self._store, self._disks, self._seconds = database, store, disks, seconds
        self._writers: dict[UUID, BlobWriter] = {}
        self._renewing: asyncio.Task[None] | None = None
        self._promise = store.promise(payer)
        self._promised = False
        self._kept = False

    async def __aenter__(self) -> Self:
        return self

    async def promise(self, size: int) -> None:
        """Set aside as many bytes as are to come (0: not known), before any does. Raises NoSpace, DatabaseFull."""
        self._disks.demand_room()
        self._promised = True
        await self._promise.set_aside(size)

    async def create(self, blob: UUID) -> BlobWriter:
        """A blob to write to. It and its writes raise NoSpace when the store's reserve is touched."""
        if not self._promised:
            await self.promise(0)
        # Known before its row is made: whoever is cancelled in between gives it up.
        self._writers[blob] = writer = self._store.create(blob, self._promise)
        async with self._database.acquire() as db:
            await blobs.lease(db, blob, self._seconds)
        if self._renewing is None:
            self._renewing = asyncio.create_task(self._renew())
        return writer

    @property
    def blobs(self) -> Iterable[UUID]:
        return self._writers.keys()

    async def discard(self, blob: UUID) -> None:
        """Give up one blob; the others stay."""
        writer = self._writers.pop(blob)
        async with self._database.acquire() as db:
            gone = await blobs.give_up(db, [blob])
        await writer.abandon()
        async with self._database.acquire() as db:
            await blobs.forget(db, gone)

    def keep(self) -> None:
        """The blobs are stored now, by a transaction that has been committed."""
        self._kept = True

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        # A client that went away cancels us, and must not leave files behind.
        await uninterrupted(self._end())

    async def _end(self) -> None:
        if self._renewing is not None:
            self._renewing.cancel()
            await asyncio.wait([self._renewing])
            self._renewing = None  # Its traceback holds this object, and so what was being written.
        try:
            if self._writers and not self._kept:
                await self._give_up()
        finally:
            self._promise.end()

    async def _give_up(self) -> None:
        # The catalog decides: a commit whose answer was lost has stored the blobs, and their files must stay.
        try:
            with suppress(MdmError):  # what fails here, the sweeper does once the leases have lapsed
                async with self._database.acquire() as db:
                    gone = await blobs.give_up(db, list(self._writers))
                for blob in gone:
                    await self._writers[blob].abandon()
                async with self._database.acquire() as db:
                    await blobs.forget(db, gone)
        finally:
            for writer in self._writers.values():
                await writer.detach()

    async def _renew(self) -> None:
        while True:
            await asyncio.sleep(self._seconds / 3)
            with suppress(MdmError):  # the database may come back before the leases lapse
                async with self._database.acquire() as db:
                    await blobs.renew(db, list(self._writers), self._seconds)
