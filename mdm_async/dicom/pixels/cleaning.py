"""Carry out a `PixelPlan` while the pixels stream by, in constant memory.

Native pixels are cut, masked and blanked. What is no picture in compressed frames is overwritten in place: nothing
changes its length or its place, so fragments and offset tables stay true. Where these are wrong, frames are written
anew, which needs a first look at where they are.
"""

from mdm_async.dicom.elements import UNDEFINED, Buffer, encoding_of
from mdm_async.dicom.pixels.description import Description
from mdm_async.dicom.pixels.findings import Wipes
from mdm_async.dicom.pixels.frames import NOT_TOLD_APART
from mdm_async.dicom.pixels.inspector import Inspector
from mdm_async.dicom.pixels.layout import Layout
from mdm_async.dicom.pixels.mask import Masker
from mdm_async.dicom.pixels.plan import PixelPlan
from mdm_async.dicom.pixels.reframing import Reframer
from mdm_async.dicom.pixels.regions import Blanker
from mdm_async.errors import Malformed


class PixelCleaner:
    """Fed the PIXELS pieces of one file, tag and all, in chunks of any size; gives the changed bytes.

    The plan must be of this image, and not one that wants the pixels decoded.
    """

    def __init__(self, plan: PixelPlan, about: Description, transfer_syntax: str) -> None:
        self._of: _Native | _Fragments
        self.looks_first = plan.reframe
        """Whether all pixels have to be shown to `look` before they are fed."""
        self._first = Inspector(transfer_syntax, about)
        if plan.codestreams or plan.reframe:
            self._of = _Fragments(transfer_syntax, about, self._first if plan.reframe else None)
        else:
            self._of = _Native(plan, Layout.of(about), transfer_syntax)

    def look(self, chunk: Buffer) -> None:
        """The next bytes of the pixels, the first time."""
        self._first.feed(chunk)

    def feed(self, chunk: Buffer) -> bytes:
        """The next bytes of the pixels; what comes out may lag behind by a few."""
        return self._of.feed(chunk)

    def close(self) -> bytes:
        """What was held back. Raises Malformed if the element was not whole."""
        return self._of.close()


class _Native:
    """A value of known length. Fragments, which have no place here, are let pass: the view is refused for them."""

    def __init__(self, plan: PixelPlan, layout: Layout | None, transfer_syntax: str) -> None:
        self._encoding = encoding_of(transfer_syntax)
        self._cut = plan.cut
        self._layout = layout
        self._masker = Masker(layout) if layout and plan.clear_unused else None
        self._blanker = Blanker(layout, plan.regions) if layout and plan.regions else None
        self._header: bytearray | None = bytearray()
        """Gathered until it is whole, then None."""
        self._at = 0
        """Bytes of the value so far."""
        self._given = 0
        """Bytes of it that were given back."""
        self._length = 0
        """Bytes that it has."""
        self._kept = 0
        """Bytes of it that stay."""

    def feed(self, chunk: Buffer) -> bytes:
        if self._header is None:
            return self._value(chunk)
        missing = 12 - len(self._header)
        self._header += chunk[:missing]
        size = self._encoding.header_size(self._header, 0, len(self._header))
        if not size:
            return b""
        header, rest = self._header[:size], bytes(self._header[size:])
        self._header = None
        self._begin(header)
        return bytes(header) + self._value(rest) + self._value(memoryview(chunk)[missing:])

    def close(self) -> bytes:
        if self._header is not None or self._at < self._length:
            raise Malformed("the pixels end before their announced length")
        return b""

    def _begin(self, header: bytearray) -> None:
        """Take the element's header, and write the right length into it."""
        _, _, size, length = self._encoding.header(header, 0, len(header))
        if length == UNDEFINED:
            self._masker = self._blanker = self._cut = None
            return
        self._length = length
        self._kept = length if self._cut is None else min(length, self._cut)
        if size == 8 and self._encoding.explicit:
            self._encoding.u16.pack_into(header, 6, self._kept)
        else:
            self._encoding.u32.pack_into(header, size - 4, self._kept)

    def _value(self, chunk: Buffer) -> bytes:
        at, self._at = self._at, self._at + len(chunk)
        if self._cut is not None:
            chunk = chunk[: max(0, self._kept - at)]
        if self._masker:
            chunk = self._masker.mask(chunk)
            if self._at >= self._kept:
                chunk += self._masker.close()
        at, self._given = self._given, self._given + len(chunk)
        padding = self._padding() - at
        if not self._blanker and not 0 <= padding < len(chunk):
            return bytes(chunk)
        data = bytearray(chunk)
        if self._blanker:
            self._blanker.blank(data, at)
        if 0 <= padding < len(data):
            data[padding] = 0
        return bytes(data)

    def _padding(self) -> int:
        """Where the byte lies that makes the value's length even and was another before the cut; -1 if none does."""
        layout = self._layout
        if layout is None or layout.big_endian or self._cut == layout.total or self._length <= self._kept:
            return -1  # big endian words of 8-bit pixels have their last pixel there
        return layout.total


class _Fragments:
    """What is no picture in fragments, overwritten; and the frames written anew where `first` has seen them all."""

    def __init__(self, transfer_syntax: str, about: Description, first: Inspector | None) -> None:
        self._wipes = Wipes()
        self._inspector = Inspector(transfer_syntax, about, self._wipes)
        self._encoding = encoding_of(transfer_syntax)
        self._first = first
        self._reframer: Reframer | None = None
        self._held = bytearray()
        self._released = 0
        """Bytes given back so far: where the held ones begin."""

    def feed(self, chunk: Buffer) -> bytes:
        self._inspector.feed(chunk)
        self._held += chunk
        for at, content in self._wipes.edits():
            begin = at - self._released
            self._held[begin : begin + len(content)] = content
        settled = self._wipes.settled()
        count = len(self._held) if settled is None else min(settled - self._released, len(self._held))
        out = bytes(memoryview(self._held)[:count])
        del self._held[:count]
        self._released += count
        return self._reframed(out)

    def close(self) -> bytes:
        if not self._inspector.delimited:
            raise Malformed("the fragments end before their delimiter")
        return self._reframed(bytes(self._held))

    def _reframed(self, some: bytes) -> bytes:
        if self._first is None:
            return some
        if self._reframer is None:
            if NOT_TOLD_APART in self._first.findings():
                raise Malformed(NOT_TOLD_APART)
            self._reframer = Reframer(self._first.frames, self._encoding)
        return self._reframer.feed(some)
