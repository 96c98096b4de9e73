"""How an installation stands, and the node that was asked."""

from dataclasses import dataclass

from mdm_async.blobs.store import BlobStore
from mdm_async.catalog.rights.acl import demand_administrator
from mdm_async.catalog.work.queue import Standing
from mdm_async.images.transfers.admission import Admission
from mdm_async.images.upkeep.queues import QUEUES
from mdm_async.names import Caller
from mdm_async.postgres.database import Database
from mdm_async.postgres.migrate import schema


@dataclass(frozen=True, slots=True)
class Status:
    """Queues are those of the whole installation; space and transfers those of this node."""

    schema: dict[str, int]
    """The last migration of each room."""
    queues: list[Standing]
    free: int | None
    """Bytes that can be stored before the blob store's reserve is touched; None when it does not tell."""
    sending: int
    receiving: int


async def status(database: Database, blobs: BlobStore, admission: Admission, caller: Caller) -> Status:
    async with database.acquire() as db:
        await demand_administrator(db, caller)
        rooms = await schema(db)
        queues = [await queue.standing(db) for queue in QUEUES]
    return Status(rooms, queues, await blobs.free(), admission.running, len(admission.receiving))
