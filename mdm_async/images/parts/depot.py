"""Where the parts of images are written: large ones to the blob store under leases, small ones into the catalog."""

from dataclasses import dataclass

from mdm_async.blobs.store import BlobStore
from mdm_async.images.cipher_pool import CipherPool
from mdm_async.images.disks import Disks
from mdm_async.images.parts.leases import Leases
from mdm_async.postgres.database import Database
from mdm_async.settings import BlobSettings


@dataclass(frozen=True, slots=True)
class Depot:
    """What every writer of parts needs."""

    database: Database
    control: Database
    """For leases, which must be renewed however busy the other is."""
    blobs: BlobStore
    cipher: CipherPool
    disks: Disks
    settings: BlobSettings

    def leases(self, payer: str = "") -> Leases:
        """For the blobs of one image, as a context. `payer` as `Leases` has it."""
        return Leases(self.control, self.blobs, self.disks, self.settings.lease_seconds, payer)
