"""What every verb works on: the catalog, the keys, the blobs, the pools and the profile of one installation."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TypeVar

from mdm_async.blobs.store import BlobStore
from mdm_async.catalog.database import Database
from mdm_async.dicom.profile import Profile
from mdm_async.dicom.scrub import REVISION
from mdm_async.images.changed import ChangedHere
from mdm_async.images.scrubbing import Scrubber
from mdm_async.keys.store import KeyStore
from mdm_async.names import BASIC, IDENTIFIED, View
from mdm_async.settings import Settings

T = TypeVar("T")

IDENTIFIED_VERSION = "original"


@dataclass(frozen=True, slots=True)
class Archive:
    """One installation, as the verbs see it."""

    settings: Settings
    database: Database
    keys: KeyStore
    blobs: BlobStore
    cipher: ThreadPoolExecutor
    disk: ThreadPoolExecutor
    scrubber: Scrubber
    profile: Profile
    pseudonym_key: bytes
    """Keys the pseudonyms of the `basic` view."""
    changed: ChangedHere = field(default_factory=ChangedHere)

    def version(self, view: View) -> str | None:
        """The version of a view that is served now; None for a view that does not exist here."""
        if view == IDENTIFIED:
            return IDENTIFIED_VERSION
        return f"{self.profile.digest[:16]}.{REVISION}" if view == BASIC else None

    async def on_cipher_pool(self, job: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self.cipher, job)
