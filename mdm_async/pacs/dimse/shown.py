"""What hospital tools search and retrieve from: the same as everybody, under the same rights."""

from collections.abc import Callable
from dataclasses import dataclass

from mdm_async.auditing.reads import Reads
from mdm_async.blobs.store import BlobStore
from mdm_async.images.budget import Budget
from mdm_async.images.cipher_pool import CipherPool
from mdm_async.images.fairness.turns import Turns
from mdm_async.images.metadata.rows import Desk
from mdm_async.images.studies.decompressing import Decompressor
from mdm_async.images.transfers.admission import Admission
from mdm_async.images.transfers.opening import OpenedViews
from mdm_async.names import Caller
from mdm_async.settings import DeliverySettings


@dataclass(frozen=True, slots=True)
class Shown:
    """Of one node. `mapped`: a caller with the groups that the mapping file gives."""

    title: str
    mapped: Callable[[Caller], Caller]
    desk: Desk
    turns: Turns
    budget: Budget
    opened: OpenedViews
    admission: Admission
    reads: Reads
    blobs: BlobStore
    cipher: CipherPool
    decompressor: Decompressor
    delivery: DeliverySettings
