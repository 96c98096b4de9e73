"""One part being written: encrypted while it arrives, inline when small, a blob when not."""

import os
import zlib
from dataclasses import dataclass
from uuid import UUID, uuid4

from mdm_async.blobs.store import BlobWriter
from mdm_async.catalog.holdings.stored_parts import Part
from mdm_async.crypt4gh.segment import RUN, SEGMENT, SegmentKey, padded
from mdm_async.images.parts.depot import Depot
from mdm_async.images.parts.leases import Leases
from mdm_async.images.parts.record import PartRecord
from mdm_async.keys.derive import FORMAT, SALT_BYTES, part_key
from mdm_async.keys.store import IDENTITY

_RUN_BYTES = RUN * SEGMENT
_BLOCK = 4096
"""Bytes of which an identity part in the catalog has a multiple."""


@dataclass(frozen=True, slots=True)
class WrittenPart:
    """A finished part: its row, and its line in the records of views."""

    row: Part
    record: PartRecord
    index: Part | None = None
    """Of pixels whose frames were found: the part that says where."""

    @property
    def rows(self) -> list[Part]:
        return [self.row] if self.index is None else [self.row, self.index]


class PartWriter:
    """Takes plain bytes in order; a mebibyte is encrypted and stored while the next one arrives.

    `secret` is the image's secret of kind `secret_kind`, under which the part's key is derived with a fresh salt.
    """

    def __init__(
        self,
        depot: Depot,
        leases: Leases,
        image: UUID,
        kind: str,
        secret_kind: str,
        secret: bytes,
        variant: str = "original",
    ) -> None:
        self._depot, self._leases = depot, leases
        self._image, self._kind, self._secret_kind = image, kind, secret_kind
        self._variant = variant
        self._id = uuid4()
        self._salt = os.urandom(SALT_BYTES)
        key = part_key(secret, self._salt, image, self._id)
        self._key = SegmentKey(key.key, key.prefix)
        self._waiting = bytearray()
        self._blob: UUID | None = None
        self._file: BlobWriter | None = None
        self._segments = 0
        self._size = self._cipher_size = 0
        self._adler = self._cipher_adler = 1

    @property
    def _identifies(self) -> bool:
        return self._secret_kind == IDENTITY

    @property
    def size(self) -> int:
        """Plain bytes taken so far."""
        return self._size + len(self._waiting)

    async def write(self, data: bytes | bytearray | memoryview) -> None:
        rest = memoryview(data)
        # Something is always held back: only the end tells which segment is the last.
        while len(self._waiting) + len(rest) > _RUN_BYTES:
            room = _RUN_BYTES - len(self._waiting)
            run = b"".join((self._waiting, rest[:room]))
            self._waiting, rest = bytearray(), rest[room:]
            file, sealed = await self._sealed(run, final=False)
            await file.write(sealed)
        self._waiting += rest

    async def finish(self, *, followed: bool) -> WrittenPart:
        """The end of the part. `followed`: other parts follow it in some view, so a blob ends in a whole segment.

        So does an identity part, and one in the catalog is filled up too: its exact size would identify it.
        """
        rest = bytes(self._waiting)
        self._waiting = bytearray()
        if self._file is None and len(rest) <= self._depot.settings.inline_max:
            return await self._depot.cipher.run(lambda: self._inline(rest))
        whole = followed or self._identifies
        padding = padded(len(rest)) - len(rest) if whole else 0
        file, sealed = await self._sealed(rest, final=True, padding=padding)
        await file.commit(sealed)
        return self._written(padded=whole, deflated=False)

    async def _sealed(self, run: bytes, *, final: bool, padding: int = 0) -> tuple[BlobWriter, bytearray]:
        """The blob, and what it is to have next."""
        if self._file is None:
            self._blob = uuid4()
            self._file = await self._leases.create(self._blob)
        return self._file, await self._depot.cipher.run(lambda: self._seal(run, final, padding))

    def _seal(self, run: bytes, final: bool, padding: int) -> bytearray:
        self._adler = zlib.adler32(run, self._adler)
        self._size += len(run)
        sealed = self._key.encrypt_run(run + bytes(padding) if padding else run, self._segments, final)
        self._segments += -(-len(run) // SEGMENT)
        self._cipher_adler = zlib.adler32(sealed, self._cipher_adler)
        self._cipher_size += len(sealed)
        return sealed

    def _inline(self, plain: bytes) -> WrittenPart:
        self._adler, self._size = zlib.adler32(plain), len(plain)
        smaller = zlib.compress(plain)
        deflated = self._identifies or len(smaller) < len(plain)
        if self._identifies:
            # What follows the end of a deflated stream is not read.
            smaller = smaller.ljust(-(-len(smaller) // _BLOCK) * _BLOCK, b"\0")
        sealed = bytes(self._key.encrypt_run(smaller if deflated else plain, 0, final=True))
        self._cipher_adler, self._cipher_size = zlib.adler32(sealed), len(sealed)
        return self._written(padded=False, deflated=deflated, inline=sealed)

    def _written(self, *, padded: bool, deflated: bool, inline: bytes | None = None) -> WrittenPart:
        row = Part(
            id=self._id,
            image=self._image,
            kind=self._kind,
            variant=self._variant,
            secret=self._secret_kind,
            format=FORMAT,
            salt=self._salt,
            cipher_size=self._cipher_size,
            cipher_adler=self._cipher_adler,
            inline=inline,
            blob=self._blob if inline is None else None,
        )
        return WrittenPart(row, PartRecord(self._id, self._size, self._adler, padded, deflated))
