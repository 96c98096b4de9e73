"""A view's record: everything about its bytes, kept encrypted, for sizes and checksums identify too."""

import os
import zlib
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any, Final, Self
from uuid import UUID

import orjson

from mdm_async.dicom.pixels.placed import Placed
from mdm_async.dicom.sameness import Sameness
from mdm_async.dicom.scrub import PixelFacts
from mdm_async.images.parts import adler
from mdm_async.images.parts.hashing import ADLER32, MD5, SHA256
from mdm_async.keys.derive import RecordCipher

REPORT: Final = " report"
"""Is added to the version that a report is bound to, and keeps it from being taken for a record."""
ATTRIBUTES: Final = " attributes"
"""As that, of what an original says."""
_BLOCK = 1024
"""Records, reports and attributes are filled up to a multiple of so many bytes: their sizes would tell of what they
describe.
"""

KEPT: Final = frozenset({MD5, SHA256})
"""The digests that a record keeps once they were computed."""


INDEX: Final = "frames"
"""The kind of a part in which numbers stand: where frames begin in the pixels that it belongs to. It is in no view."""


@dataclass(frozen=True, slots=True)
class Seen:
    """What was seen of the pixels of several frames while they were written."""

    begin: bytes
    """Their first bytes: the element's header, before its value."""
    index: "PartRecord | None" = None
    """Where frames begin, as `Places.encoded`; None of native ones, and of those that cannot be told apart."""
    whole: bool = False
    """Each frame is one fragment."""


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
    seen: Seen | None = None
    """Of pixels of several frames."""

    @property
    def ids(self) -> tuple[UUID, ...]:
        """Of it, and of what belongs to it."""
        index = self.seen.index if self.seen is not None else None
        return (self.id,) if index is None else (self.id, index.id)


@dataclass(frozen=True, slots=True)
class ViewRecord:
    """The parts of a view; its size and checksum follow from them."""

    parts: tuple[PartRecord, ...]
    sha256: str | None = None
    """In hexadecimal digits, as `md5`."""
    md5: str | None = None
    pixels: PixelFacts | None = None
    """Of `identified`: what was learnt of the pixels, so that other views can be made without reading them."""
    pixels_revision: int = 0
    """Of `identified`: which revision has looked at the pixels."""
    shared: PartRecord | None = None
    """Of `identified`: the pixels that other views share; one of `parts`, but for deflated originals."""
    sameness: Sameness | None = None
    """Of `identified`: what the file is compared by with others of its SOP Instance UID; None: it cannot be, or came
    when nothing was noted.
    """
    placed: Placed | None = None
    """Where the pixels of several frames lie in this view, without their Extended Offset Table."""
    issued_by: str | None = None
    """Of `identified`: who has issued the Patient ID, as of `issuer_of`."""
    version: str = ""
    """Of which version of the view this is; beside what is sealed, and bound to it."""

    @property
    def size(self) -> int:
        return sum(part.size for part in self.parts)

    @property
    def seen(self) -> Seen | None:
        return next((part.seen for part in self.parts if part.seen is not None), None)

    @property
    def ids(self) -> tuple[UUID, ...]:
        """Of all parts that it needs."""
        needed = [*self.parts, *([self.shared] if self.shared is not None else [])]
        return tuple(dict.fromkeys(id_ for part in needed for id_ in part.ids))

    @property
    def adler32(self) -> int:
        total = 1
        for part in self.parts:
            total = adler.combine(total, part.adler32, part.size)
        return total

    @property
    def digests(self) -> dict[str, bytes]:
        """Those that are known, by algorithm: the ADLER32 always, of the others those that were asked for."""
        found = {ADLER32: self.adler32.to_bytes(4, "big")}
        for name, kept in ((MD5, self.md5), (SHA256, self.sha256)):
            if kept is not None:
                found[name] = bytes.fromhex(kept)
        return found

    def with_digests(self, computed: Mapping[str, bytes]) -> Self:
        """Of the same bytes; `computed` are some of `KEPT`."""
        texts = {name: value.hex() for name, value in computed.items()}
        return replace(self, md5=texts.get(MD5, self.md5), sha256=texts.get(SHA256, self.sha256))


def seal(record: ViewRecord, secret: bytes, image: UUID, view: str, version: str) -> bytes:
    tree: dict[str, Any] = {
        "parts": [_listed(part) for part in record.parts],
        "sha256": record.sha256,
        "md5": record.md5,
        "pixels": asdict(record.pixels) if record.pixels is not None else None,
        "pixels_revision": record.pixels_revision,
        "shared": _listed(record.shared) if record.shared is not None else None,
        "sameness": asdict(record.sameness) if record.sameness is not None else None,
        "issued_by": record.issued_by,
    }
    if record.placed is not None:
        tree["placed"] = record.placed.told
    return RecordCipher(secret, image).seal(_filled(orjson.dumps(tree), b" "), view, version, os.urandom(12))


def unseal(sealed: bytes, secret: bytes, image: UUID, view: str, version: str) -> ViewRecord:
    tree = orjson.loads(RecordCipher(secret, image).open(sealed, view, version))
    pixels, shared, sameness = tree["pixels"], tree["shared"], tree.get("sameness")
    return ViewRecord(
        tuple(_part(listed) for listed in tree["parts"]),
        tree["sha256"],
        tree.get("md5"),
        PixelFacts(**pixels | {"findings": tuple(pixels["findings"])}) if pixels is not None else None,
        tree.get("pixels_revision", 0),
        _part(shared) if shared is not None else None,
        Sameness(**sameness) if sameness is not None else None,
        Placed.of(tree["placed"]) if "placed" in tree else None,
        tree.get("issued_by"),
        version,
    )


def seal_report(report: bytes, secret: bytes, image: UUID, view: str, version: str) -> bytes:
    """What scrubbing did to make a view, compressed and encrypted."""
    filled = _filled(zlib.compress(report), b"\0")  # what follows the end of a deflated stream is not read
    return RecordCipher(secret, image).seal(filled, view, version + REPORT, os.urandom(12))


def unseal_report(sealed: bytes, secret: bytes, image: UUID, view: str, version: str) -> bytes:
    return zlib.decompress(RecordCipher(secret, image).open(sealed, view, version + REPORT))


def seal_attributes(said: Mapping[str, object], secret: bytes, image: UUID, view: str, version: str) -> bytes:
    """What an original says of itself, by keyword."""
    return RecordCipher(secret, image).seal(
        _filled(orjson.dumps(said), b" "), view, version + ATTRIBUTES, os.urandom(12)
    )


def unseal_attributes(
    sealed: bytes, secret: bytes, image: UUID, view: str, version: str
) -> dict[str, list[Any]]:
    """Raises cryptography's InvalidTag when they are not this image's."""
    found: dict[str, list[Any]] = orjson.loads(
        RecordCipher(secret, image).open(sealed, view, version + ATTRIBUTES)
    )
    return found


def _filled(text: bytes, fill: bytes) -> bytes:
    return text.ljust(-(-len(text) // _BLOCK) * _BLOCK, fill)


def _listed(part: PartRecord) -> list[object]:
    listed: list[object] = [str(part.id), part.size, part.adler32, part.padded, part.deflated]
    if part.seen is not None:
        index = _listed(part.seen.index) if part.seen.index is not None else None
        listed.append([part.seen.begin.hex(), index, part.seen.whole])
    return listed


def _part(listed: list[Any]) -> PartRecord:
    identity, size, adler32, is_padded, deflated, *more = listed
    seen = None
    if more:
        begin, index, whole = more[0]
        seen = Seen(bytes.fromhex(begin), _part(index) if index is not None else None, whole)
    return PartRecord(UUID(identity), size, adler32, is_padded, deflated, seen)
