"""A view, ready to be read: its parts in file order with their keys, as one run of bytes."""

import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from uuid import UUID

from mdm_async.catalog.holdings.stored_parts import Part
from mdm_async.crypt4gh.segment import (
    RUN,
    SEGMENT,
    SegmentKey,
    cipher_size,
    covering,
    padded,
    plain_size,
    segment_count,
)
from mdm_async.errors import BadSeal, Damaged
from mdm_async.images.metrics import SEGMENTS_DECRYPTED
from mdm_async.images.parts.record import PartRecord, ViewRecord
from mdm_async.images.reading.buffers import buffer
from mdm_async.keys.derive import StreamKey, part_key
from mdm_async.keys.store import Secrets


@dataclass(frozen=True, slots=True, repr=False)
class ReadyPart:
    """One part of a view. `plain` is held for inline parts, which are small; blobs are read run by run."""

    row: Part
    record: PartRecord
    key: StreamKey
    opener: SegmentKey
    plain: bytes | None

    @property
    def stored_size(self) -> int:
        """Bytes under the cipher, padding included."""
        return padded(self.record.size) if self.record.padded else self.record.size


@dataclass(frozen=True, slots=True)
class Run:
    """Some consecutive segments of a blob, and which of their plain bytes are wanted."""

    part: ReadyPart
    first: int
    offset: int
    size: int
    start: int
    stop: int

    def open(self, cipher: memoryview) -> memoryview:
        """The wanted bytes to be served, in a buffer that may be given back. Raises as `look`."""
        wanted = self.look(cipher)
        SEGMENTS_DECRYPTED[self.part.row.kind].inc(segments_in(len(cipher)))
        return wanted

    def look(self, cipher: memoryview) -> memoryview:
        """As `open`, of bytes that stay here. Raises Damaged when the store gave back something else than it was
        given."""
        plain = buffer(plain_size(len(cipher)))
        try:
            self.part.opener.decrypt_run_into(cipher, plain, self.first, segment_count(self.part.stored_size))
        except BadSeal as why:
            raise Damaged(f"a stored part does not open: {why.detail}") from why
        return plain[self.start : self.stop]


@dataclass(frozen=True, slots=True, repr=False)
class ReadyView:
    """A view's bytes: the concatenation of its parts. It never changes."""

    image: UUID
    registration: UUID
    """Of the keys that it was opened by."""
    view: str
    parts: tuple[ReadyPart, ...]
    record: ViewRecord
    size: int
    adler32: int
    etag: str
    """Names the stored parts, not their content: it tells nothing of what is in them."""
    index: "ReadyView | None" = None
    """The numbers that say where frames begin, if they were found: see `record.Seen`."""
    elsewhere: bool = False
    """Were its blobs lost here, they would be had again."""

    @property
    def version(self) -> str:
        return self.record.version

    @property
    def weight(self) -> int:
        """Bytes of memory that it takes."""
        index = self.index.parts if self.index is not None else ()
        return sum(len(part.plain or b"") for part in (*self.parts, *index))

    def blobs(self, start: int, stop: int) -> Iterator[tuple[UUID, int]]:
        """The blobs that the bytes start ≤ i < stop lie in, and their sizes."""
        begin = 0
        for part in self.parts:
            end = begin + part.record.size
            if part.row.blob is not None and max(start, begin) < min(stop, end):
                yield part.row.blob, part.row.cipher_size
            begin = end

    def runs(self, start: int, stop: int) -> Iterator[Run | memoryview]:
        """What to read for the bytes start ≤ i < stop, in order: inline bytes, and runs of up to a mebibyte."""
        begin = 0
        for part in self.parts:
            end = begin + part.record.size
            low, high = max(start, begin) - begin, min(stop, end) - begin
            if low < high:
                if part.plain is not None:
                    yield memoryview(part.plain)[low:high]
                else:
                    yield from _runs(part, low, high)
            begin = end


def _runs(part: ReadyPart, low: int, high: int) -> Iterator[Run]:
    segments = covering(low, high)
    for first in range(segments.start, segments.stop, RUN):
        last = min(first + RUN, segments.stop)
        offset = cipher_size(first * SEGMENT)
        size = cipher_size(min(last * SEGMENT, part.stored_size)) - offset
        base = first * SEGMENT
        yield Run(part, first, offset, size, max(low - base, 0), min(high, last * SEGMENT) - base)


def of_part(image: UUID, row: Part, part: PartRecord, secrets: Secrets) -> ReadyView:
    """One stored part by itself, to make another of it. Raises Damaged."""
    alone = ViewRecord((part,))
    opened = (ready_part(row, part, secrets),)
    return ReadyView(image, secrets.registration, row.kind, opened, alone, part.size, part.adler32, "")


def ready_part(row: Part | None, part: PartRecord, secrets: Secrets) -> ReadyPart:
    """A part with its key; opened, when it lies in the catalog. Raises Damaged."""
    if row is None:
        raise Damaged("a stored part is missing")
    key = part_key(secrets.of(row.secret), row.salt, row.image, row.id)
    opener = SegmentKey(key.key, key.prefix)
    plain = None
    if row.inline is not None:
        try:
            stored = opener.decrypt_run(row.inline, 0, segments_in(row.cipher_size))
        except BadSeal as why:
            raise Damaged(f"a stored part does not open: {why.detail}") from why
        plain = zlib.decompress(stored) if part.deflated else bytes(stored)
        if len(plain) != part.size:
            raise Damaged("a stored part is not what its record says")
    return ReadyPart(row, part, key, opener, plain)


def segments_in(cipher: int) -> int:
    """Segments in so many bytes of ciphertext."""
    return -(-cipher // cipher_size(SEGMENT))
