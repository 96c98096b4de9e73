"""What every verb works on: the catalog, the keys, the blobs, the pools and the profiles of one installation."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

from mdm_async.blobs.store import BlobStore
from mdm_async.catalog.rights.callers import Callers
from mdm_async.identity.mapping import Mapping
from mdm_async.images.changed import ChangedHere
from mdm_async.images.cipher_pool import CipherPool
from mdm_async.images.parts.depot import Depot
from mdm_async.images.reading.served import ServedViews
from mdm_async.images.reading.shelf import Shelf
from mdm_async.images.views.scrubbing import Scrubber
from mdm_async.images.views.workshop import Workshop
from mdm_async.keys.derive import PseudonymFinder
from mdm_async.keys.store import KeyStore
from mdm_async.postgres.database import Database
from mdm_async.settings import Settings


@dataclass(frozen=True, slots=True)
class Archive:
    """One installation, as the verbs see it."""

    settings: Settings
    database: Database
    keys: KeyStore
    blobs: BlobStore
    cipher: CipherPool
    disk: ThreadPoolExecutor
    scrubber: Scrubber
    views: ServedViews
    finder: PseudonymFinder
    callers: Callers
    mapping: Mapping
    changed: ChangedHere = field(default_factory=ChangedHere)

    @property
    def shelf(self) -> Shelf:
        return Shelf(self.keys, self.views)

    @property
    def workshop(self) -> Workshop:
        depot = Depot(self.database, self.blobs, self.cipher, self.settings.blobs)
        return Workshop(depot, self.scrubber, self.finder)
