"""At start: is the blob store the one that the catalog knows? Blobs of another are never read, written or swept."""

import asyncio
from dataclasses import dataclass
from uuid import UUID, uuid4

import structlog

from mdm_async.blobs import id_file
from mdm_async.blobs.store import BlobStore, StoreId
from mdm_async.catalog import installation
from mdm_async.catalog.holdings import blobs
from mdm_async.errors import MdmError, UnsafeSettings
from mdm_async.postgres.database import Connection, Database

_LOOKED_AT = 1000
_LOOK = 5.0
"""Seconds between looks whether it is there."""
_PATIENCE = 10.0

_log = structlog.get_logger()


async def claim_store(database: Database, store: BlobStore) -> StoreId:
    """Compare the store's id file with the catalog. The first to come makes both; so does the first start on what a
    version without id files has stored.

    Raises UnsafeSettings.
    """
    async with database.transaction() as db:
        installed, known = await installation.blob_store(db)
        found = await store.identity()
        if found is not None and found.installation != installed:
            raise UnsafeSettings(
                f"{store} holds the blobs of another mdm installation",
                remedy="give this server a data directory of its own (a prefix, in a bucket), or the database that "
                "belongs to these blobs",
            )
        if known is None:
            if found is None:
                await _demand_known(db, store)
                found = StoreId(uuid4(), installed)
                await store.mark(found)
            await installation.set_blob_store(db, found.store)
        elif found is None:
            raise UnsafeSettings(
                f"{store} has no id file, and the catalog knows a blob store that has one",
                remedy=(
                    "mount that store there, or name its bucket; a second node shares the directory of the first, with "
                    "blobs.shared = true. Were the store lost, a new one would begin with a file (in a bucket, an "
                    f"object) {id_file.NAME} that says: {id_file.line(StoreId(known, installed))}"
                ),
            )
        elif found.store != known:
            raise UnsafeSettings(
                f"{store} is another blob store of this installation than the catalog knows",
                remedy="mount the other one there, or name its bucket",
            )
    return found


@dataclass(slots=True)
class StoreWatch:
    """Whether the store that this server claimed is there still. `away`: why it is not; None while it is."""

    store: BlobStore
    mine: StoreId
    away: str | None = None

    async def forever(self) -> None:
        while True:
            before, self.away = self.away, await self._why()
            if self.away != before:
                tell = _log.error if self.away is not None else _log.warning
                tell("the blob store", state=self.away or "it is there again")
            await asyncio.sleep(_LOOK)

    async def _why(self) -> str | None:
        try:
            async with asyncio.timeout(_PATIENCE):
                found = await self.store.identity()
        except MdmError as why:
            return why.detail
        except TimeoutError:
            return "the blob store does not answer"
        if found is None:
            return "the blob store is not there"
        return None if found == self.mine else "another blob store lies where this server's was"


async def _demand_known(db: Connection, store: BlobStore) -> None:
    """What lies there must be known, if anything is known or lies there."""
    listed: list[UUID] = []
    async for blob, _ in store.listing():
        listed.append(blob)
        if len(listed) == _LOOKED_AT:
            break
    if not await blobs.recognised(db, listed):
        raise UnsafeSettings(
            f"none of the blobs that the catalog knows are in {store}",
            remedy="mount the directory that holds them (name the bucket), or give this server the database that "
            "belongs to it",
        )
