"""A view's record: everything about its bytes, kept encrypted, for sizes and checksums identify too."""

import os
from dataclasses import dataclass
from uuid import UUID

import orjson

from mdm_async.images import adler
from mdm_async.keys.derive import RecordCipher


@dataclass(frozen=True, slots=True)
class PartRecord:
    """One part of a view, in file order."""

    id: UUID
    size: int
    """Plain bytes, without padding."""
    adler32: int
    """Of the plain bytes."""
    padded: bool
    """Stored as whole segments, the last one filled up with zeros."""
    deflated: bool
    """Stored deflated; inline parts only."""


@dataclass(frozen=True, slots=True)
class ViewRecord:
    """The parts of a view; its size and checksum follow from them."""

    parts: tuple[PartRecord, ...]
    sha256: str | None = None

    @property
    def size(self) -> int:
        return sum(part.size for part in self.parts)

    @property
    def adler32(self) -> int:
        total = 1
        for part in self.parts:
            total = adler.combine(total, part.adler32, part.size)
        return total


def seal(record: ViewRecord, secret: bytes, image: UUID, view: str, version: str) -> bytes:
    parts = [[str(p.id), p.size, p.adler32, p.padded, p.deflated] for p in record.parts]
    text = orjson.dumps({"parts": parts, "sha256": record.sha256})
    return RecordCipher(secret, image).seal(text, view, version, os.urandom(12))


def unseal(sealed: bytes, secret: bytes, image: UUID, view: str, version: str) -> ViewRecord:
    tree = orjson.loads(RecordCipher(secret, image).open(sealed, view, version))
    return ViewRecord(
        tuple(PartRecord(UUID(id_), *rest) for id_, *rest in tree["parts"]),
        tree["sha256"],
    )
