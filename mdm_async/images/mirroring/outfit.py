"""What a node sends to mirrors with, and its line to one of them."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from functools import partial

from mdm_async.blobs.store import BlobStore
from mdm_async.catalog.mirrors.mirrors import Mirror
from mdm_async.client.second_site import SecondSite
from mdm_async.client.told_errors import Json, error_from_details
from mdm_async.crypt4gh.stream import Sealer
from mdm_async.errors import NoSpace, TooManyRequests, Unauthenticated, Unavailable
from mdm_async.images.cipher_pool import CipherPool
from mdm_async.images.mirroring.mirrored_profiles import MirroredProfiles
from mdm_async.images.reading.shelf import Shelf
from mdm_async.postgres.database import Database

PAGE = 256
"""Records of one request."""
BUSY = (TooManyRequests, NoSpace)
"""What a mirror says of itself, and not of what was sent: shreds still go."""
AWAY = (Unavailable, Unauthenticated)


@dataclass(frozen=True, slots=True, repr=False)
class Outfit:
    """Of one node."""

    database: Database
    shelf: Shelf
    blobs: BlobStore
    cipher: CipherPool
    profiles: MirroredProfiles
    node: str


@dataclass(frozen=True, slots=True, repr=False)
class Line:
    """To one mirror, while it is this node's."""

    outfit: Outfit
    mirror: Mirror
    site: SecondSite

    async def records(self, records: list[Json]) -> list[Json]:
        return await self.site.records(self.mirror.epoch, records)

    async def upload(self, upload: Json, content: AsyncIterator[memoryview]) -> None:
        """Something, sealed to the key that the mirror has just made for it."""
        await self.site.upload(upload["id"], self._sealed(bytes.fromhex(upload["recipient"]), content))

    async def _sealed(
        self, recipient: bytes, content: AsyncIterator[memoryview]
    ) -> AsyncIterator[bytes | bytearray]:
        sealer = Sealer(recipient)
        yield sealer.header()
        async for piece in content:
            for sealed in await self.outfit.cipher.run(partial(sealer.feed, piece)):
                yield sealed
        for sealed in sealer.close():
            yield sealed


def demand(answer: Json) -> None:
    """Raises what the mirror says of one record."""
    if (error := answer.get("error")) is not None:
        raise error_from_details(int(error["status"]), error, {})
