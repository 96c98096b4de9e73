"""Find head, pixels and tail in a stream, incrementally.

The cut is at the top-level Pixel Data element: (7FE0,0010), or Float (7FE0,0008) or Double Float (7FE0,0009). It is
found by walking headers, never by searching: big values pass through as slices, fragments are stepped over by their
item headers up to the sequence delimiter (PS3.5 §A.4), and the only bytes kept are those of a header cut by a chunk.
"""

import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum
from typing import Final

from mdm_async.dicom.elements import (
    DEFLATED,
    DIRECTORY_RECORDS,
    PIXEL_TAGS,
    Buffer,
    Encoding,
    is_blank_and_empty,
)
from mdm_async.dicom.filemeta import MetaReader, directory
from mdm_async.dicom.walking import Nesting
from mdm_async.errors import Malformed, Truncated

_TRAILER: Final = 8
"""Bytes of a checksum and a size."""
INFLATE_STEP: Final = 1 << 20
"""Bytes of one inflated piece at most: a bomb costs its reader steps, not memory."""


_PADDING: Final = bytes(8)


class Kind(Enum):
    """Which part of the file a piece belongs to."""

    ORIGINAL = "original"
    """The deflated file as it is; only for deflated files, beside the other three."""
    HEAD = "head"
    PIXELS = "pixels"
    TAIL = "tail"


@dataclass(frozen=True, slots=True)
class Piece:
    """Some bytes of one part. A memoryview lives as long as the chunk it was cut from: use or copy it before."""

    kind: Kind
    data: bytes | memoryview


class Splitter:
    """Cuts one DICOM Part 10 file, fed in chunks of any size.

    Of an ordinary file HEAD, PIXELS and TAIL, in the order they come, are the file byte for byte. Of a deflated one
    ORIGINAL is; its HEAD (preamble, meta as it is, inflated elements), PIXELS and TAIL are the inflated form.

    Raises NotDicom, Malformed or Truncated, with offsets in the (inflated) file.
    """

    def __init__(self, *, force: bool = False) -> None:
        """`force`: somebody vouches for a file that breaks PS3.10 (`quirks`)."""
        self._meta = MetaReader(force=force)
        self._cutter: _Cutter | None = None
        self._inflate: _Inflate | None = None

    @property
    def transfer_syntax(self) -> str | None:
        """(0002,0010), None until the file meta is complete."""
        return self._meta.transfer_syntax if self._cutter else None

    @property
    def sop_class(self) -> str | None:
        """(0002,0002), None until the file meta is complete, or if it names none."""
        return self._meta.sop_class if self._cutter else None

    @property
    def deflated(self) -> bool:
        return self._inflate is not None

    @property
    def encapsulated(self) -> bool:
        """Whether the pixels seen are fragments rather than one value of known length."""
        return self._cutter is not None and self._cutter.encapsulated

    @property
    def pixel_header(self) -> int:
        """Bytes of the pixels' element before its value; 0 while none were seen."""
        return self._cutter.pixel_header if self._cutter else 0

    @property
    def pixel_value_length(self) -> int:
        """Bytes of the pixels' value field seen so far; of encapsulated pixels with items and delimiter."""
        return self._cutter.pixel_value_length if self._cutter else 0

    def feed(self, chunk: Buffer) -> list[Piece]:
        """The pieces that this chunk completes. A deflated chunk inflates up to 1,032 times: see `stream`."""
        return list(self.stream(chunk))

    def stream(self, chunk: Buffer) -> Iterator[Piece]:
        """As `feed`, one piece at a time: deflated data is inflated as the pieces are taken. Take them all."""
        if self._cutter is None:
            if self._meta.feed(chunk):
                yield from self._begin()
            return
        if not len(chunk):
            return
        if self._inflate is None:
            yield from self._cutter.feed(chunk)
            return
        yield Piece(Kind.ORIGINAL, chunk if isinstance(chunk, memoryview) else bytes(chunk))
        for inflated in self._inflate.feed(chunk):
            yield from self._cutter.feed(inflated)

    def close(self) -> list[Piece]:
        """The stream has ended: the last pieces. Raises unless the file is whole."""
        pieces: list[Piece] = []
        if self._cutter is None:
            self._meta.close()
            pieces += self._begin()
        assert self._cutter is not None
        if self._inflate is not None:
            self._inflate.close()
        return pieces + self._cutter.close()

    def _begin(self) -> Iterator[Piece]:
        """What has been fed so far, now that the meta is complete."""
        whole, end = bytes(self._meta.data), self._meta.end
        self._meta.data.clear()
        if self._meta.transfer_syntax == DEFLATED:
            self._inflate = _Inflate()
            yield Piece(Kind.ORIGINAL, whole[:end])
        self._cutter = _Cutter(self._meta.encoding, end)
        if end:
            yield Piece(Kind.HEAD, whole[:end])
        yield from self.stream(memoryview(whole)[end:])


class _Cutter:
    """Cuts the bytes of a data set, as they come, before and after its pixels."""

    def __init__(self, encoding: Encoding, offset: int) -> None:
        self.encapsulated = False
        self.pixel_header = self.pixel_value_length = 0
        self._kind = Kind.HEAD
        self._offset = offset
        self._nesting = Nesting(encoding)
        self._skip = 0
        self._carry = b""
        self._padding = False
        """Whether zeros were met after the data set: nothing else may come any more."""

    def feed(self, chunk: Buffer) -> Iterator[Piece]:
        # Only a header cut by the chunk's end is carried over; inside a value the chunk is used as it is.
        data = memoryview(self._carry + bytes(chunk)) if self._carry else memoryview(chunk)
        self._carry = b""
        base, end = self._offset, len(data)
        start = at = 0
        while True:
            step = min(self._skip, end - at)
            at += step
            self._skip -= step
            if at == end:
                break
            top = not self._nesting
            if top and (self._padding or data[at : at + 8] == _PADDING):
                if bytes(data[at:]).strip(b"\0"):
                    raise Malformed(
                        f"there is something after the zeros that end the data set by byte {base + at}"
                    )
                yield from self._cut(data[start:at])
                start, at, self._padding = at, end, True
                self._kind = Kind.HEAD if self._kind is Kind.HEAD else Kind.TAIL
                break
            if (end - at < 16 or self._nesting.in_doubt) and not self._nesting.header_size(
                data, at, end - at
            ):
                self._carry = bytes(data[at:])
                break
            tag, value, self._skip = self._nesting.step(data, at, end, base)
            if top and tag == DIRECTORY_RECORDS:
                raise directory()
            if top and (kind := self._kind_from(tag)) is not self._kind:
                yield from self._cut(data[start:at])
                start, self._kind = at, kind
                if kind is Kind.PIXELS:
                    self.pixel_header = value - at
                    self.pixel_value_length = -self.pixel_header
                    self.encapsulated = bool(self._nesting)
            at = value
        yield from self._cut(data[start:at])
        self._offset = base + at

    def close(self) -> list[Piece]:
        """The stream has ended: what was held back, which must be zeros."""
        where = f"at byte {self._offset + len(self._carry)}"
        if self._skip:
            raise Truncated(f"the stream ends {where}, {self._skip} bytes before the end of a value")
        if self._nesting:
            raise Truncated(
                f"the stream ends {where}, inside a sequence or fragments without their delimiter"
            )
        if self._carry.strip(b"\0") and not is_blank_and_empty(self._carry):
            raise Truncated(f"the stream ends {where}, inside an element's header")
        self._kind = Kind.HEAD if self._kind is Kind.HEAD else Kind.TAIL
        return list(self._cut(memoryview(self._carry)))

    def _kind_from(self, tag: int) -> Kind:
        """What the top-level element with this tag belongs to."""
        if self._kind is Kind.HEAD:
            return Kind.PIXELS if tag in PIXEL_TAGS else Kind.HEAD
        return Kind.TAIL

    def _cut(self, data: memoryview) -> Iterator[Piece]:
        if len(data):
            if self._kind is Kind.PIXELS:
                self.pixel_value_length += len(data)
            yield Piece(self._kind, data)


class _Inflate:
    """Inflates a data set deflated as PS3.5 §A.5 says: a raw stream.

    After its end come nothing, or the checksum and size that gzip would write (some writers use it), which are checked;
    and then zeros, one for even length or as many as there are.
    """

    def __init__(self) -> None:
        self._inflater = zlib.decompressobj(-zlib.MAX_WBITS)
        self._checksum = self._size = 0
        self._after = b""

    def feed(self, chunk: Buffer) -> Iterator[bytes]:
        data: Buffer = chunk
        inflated = b""
        # A full step may have used up the chunk and yet left output behind in the inflater.
        while not self._inflater.eof and (len(data) or len(inflated) == INFLATE_STEP):
            try:
                inflated = self._inflater.decompress(data, INFLATE_STEP)
            except zlib.error:
                raise Malformed("the deflated data set does not inflate") from None
            if inflated:
                self._checksum = zlib.crc32(inflated, self._checksum)
                self._size += len(inflated)
                yield inflated
            data = self._inflater.unused_data if self._inflater.eof else self._inflater.unconsumed_tail
        missing = _TRAILER - len(self._after)
        self._after += bytes(data[:missing])
        if bytes(data[missing:]).strip(b"\0"):
            raise Malformed("there are bytes after the end of the deflated data set")

    def close(self) -> None:
        if not self._inflater.eof:
            raise Truncated("the stream ends inside the deflated data set")
        trailer = struct.pack("<LL", self._checksum, self._size & 0xFFFFFFFF)
        if self._after.strip(b"\0") and self._after != trailer:
            raise Malformed("there are bytes after the end of the deflated data set")
