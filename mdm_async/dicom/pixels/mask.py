"""Bits of native samples that are not the picture's: looked at, and cleared.

Overlays were once put there (PS3.5 §8.1.2, retired), and readers ignore whatever else is.
"""

from collections.abc import Callable
from typing import Final

from mdm_async.dicom.elements import Buffer
from mdm_async.dicom.pixels.description import OVERLAY_BITS, OVERLAY_DATA, OVERLAY_POSITION, Description
from mdm_async.dicom.pixels.layout import Layout

UNUSED_BITS: Final = "something in bits that are not the picture's"
_UNUSUAL: Final = "the pixels' bits are packed in an unusual way"

_NO_ZEROS, _NO_SIGNS, _NEITHER = 1, 2, 3
"""What a byte's unused bits are not."""


def overlays_in_pixels(about: Description) -> dict[int, int]:
    """The overlay groups that lie in the pixels' bits, each with the bit it is declared at."""
    found = {}
    for group in sorted({tag >> 16 for tag in about.values if tag >> 24 == 0x60}):
        shift = (group - 0x6000) << 16
        bits, position = OVERLAY_BITS + shift, OVERLAY_POSITION + shift
        at = about.number(position, 0) or 0
        own = about.values.get(OVERLAY_DATA + shift)
        if at or about.ambiguous(position) or (about.number(bits, 1) != 1 and not own):
            found[group] = at
    return found


def obstacle_of_overlays(layout: Layout, about: Description, bits: list[int]) -> str | None:
    """Why overlays at these bits cannot be cleared without harm to the picture; None when they can."""
    if why := obstacle(layout):
        return why
    shifts = range(0, 0x100 << 16, 0x2 << 16)
    if any(about.ambiguous(tag + shift) for tag in (OVERLAY_BITS, OVERLAY_POSITION) for shift in shifts):
        return "the description contradicts itself"
    if any(layout.shift <= bit <= layout.high or bit >= layout.bits for bit in bits):
        return "its bits are the picture's"
    return None


def obstacle(layout: Layout) -> str | None:
    """Why bits of such samples cannot be looked at; None when they can.

    Words of 16 bits make up larger big endian samples: readers differ in which of them comes first.
    """
    if layout.bits not in (8, 16, 32) or not layout.stored_fit or (layout.big_endian and layout.bits > 16):
        return _UNUSUAL
    return None


class _Sample:
    """The bytes of a sample, counted from its least significant one."""

    def __init__(self, layout: Layout) -> None:
        """The layout has no `obstacle`."""
        self.size = layout.bits // 8
        picture = ((1 << layout.stored) - 1) << layout.shift
        self.unused: Final = [~picture >> 8 * byte & 0xFF for byte in range(self.size)]
        """The bits of each that are not the picture's."""
        self.signed = layout.signed
        self.sign_byte = layout.high // 8
        self.sign = 1 << layout.high % 8
        self.above = 0x100 - 2 * self.sign
        """Those above the sign, in the byte that has it."""
        self._big_endian = layout.big_endian

    def place(self, byte: int) -> int:
        """Where it lies in the encoded sample."""
        return self.size - 1 - byte if self._big_endian else byte

    def table(self) -> bytes:
        """By a byte with the sign, all the bits of the bytes above it."""
        return bytes(0xFF if byte & self.sign else 0 for byte in range(256))


class UnusedBits:
    """Whether samples hold something in bits that are not the picture's.

    Zeros are nothing, and neither is the sign of signed samples written again, if it is in every one of them.
    """

    def __init__(self, layout: Layout) -> None:
        """The layout has no `obstacle`."""
        self._sample = sample = _Sample(layout)
        self._looked_at = [byte for byte in range(sample.size) if sample.unused[byte]]
        self._zeros, self._extended = True, sample.signed
        self._signs = sample.table()
        self._kinds = {byte: bytes(map(self._kind_of(byte), range(256))) for byte in self._looked_at}
        self._part = b""

    @property
    def found(self) -> bool:
        return not (self._zeros or self._extended)

    def feed(self, data: bytes) -> None:
        """Take the next bytes of the samples."""
        sample = self._sample
        if self.found or not self._looked_at:
            return
        if self._part or len(data) % sample.size:
            data = self._part + data
            whole = len(data) - len(data) % sample.size
            data, self._part = data[:whole], data[whole:]
        signs = None
        for byte in self._looked_at:
            plane = data[sample.place(byte) :: sample.size]
            self._look(byte, plane)
            if self._extended and byte > sample.sign_byte:
                if signs is None:
                    signs = data[sample.place(sample.sign_byte) :: sample.size].translate(self._signs)
                self._extended = plane == signs

    def looks_at(self, byte: int) -> bool:
        """Whether such bytes of samples, counted from the least significant one, have unused bits."""
        return byte in self._looked_at

    def feed_some(self, byte: int, values: bytes) -> None:
        """Take some such bytes of samples, in any order. The sign is not looked for above the byte that has it."""
        self._look(byte, values)
        self._extended = self._extended and (byte <= self._sample.sign_byte or not values.strip(b"\0"))

    def _look(self, byte: int, values: bytes) -> None:
        kinds = values.translate(self._kinds[byte])
        self._zeros = self._zeros and not (_NO_ZEROS in kinds or _NEITHER in kinds)
        self._extended = self._extended and not (_NO_SIGNS in kinds or _NEITHER in kinds)

    def _kind_of(self, byte: int) -> Callable[[int], int]:
        """What values of a byte of the sample tell of its unused bits."""
        sample, unused = self._sample, self._sample.unused[byte]

        def kind(value: int) -> int:
            there = value & unused
            if byte > sample.sign_byte:
                signs = there in (0, unused)  # of which sign, the byte below tells
            else:
                negative = byte == sample.sign_byte and value & sample.sign
                signs = there == (sample.above if negative else 0)
            return (_NO_ZEROS if there else 0) | (0 if signs else _NO_SIGNS)

        return kind


class Masker:
    """Clears the bits of samples that are not the picture's: those above the sign of signed ones become the sign."""

    def __init__(self, layout: Layout) -> None:
        """The layout has no `obstacle`."""
        self._sample = sample = _Sample(layout)
        self._signs = sample.table()
        self._tables = {
            byte: bytes(
                one & ~unused
                | (sample.above if byte == sample.sign_byte and sample.signed and one & sample.sign else 0)
                for one in range(256)
            )
            for byte, unused in enumerate(sample.unused)
            if unused and (byte <= sample.sign_byte or not sample.signed)
        }
        self._repeated = range(sample.sign_byte + 1, sample.size) if sample.signed else range(0)
        self._part = b""

    def mask(self, data: Buffer) -> bytes:
        """The next bytes, cleared; a sample that is not whole is held back."""
        sample = self._sample
        if self._part or len(data) % sample.size:
            data = self._part + bytes(data)
            whole = len(data) - len(data) % sample.size
            data, self._part = data[:whole], data[whole:]
        return bytes(self._cleared(bytearray(data)))

    def close(self) -> bytes:
        """In place of a sample that the pixels' end cuts, zeros."""
        rest, self._part = bytes(len(self._part)), b""
        return rest

    def _cleared(self, data: bytearray) -> bytearray:
        sample = self._sample
        for byte, table in self._tables.items():
            plane = slice(sample.place(byte), None, sample.size)
            data[plane] = data[plane].translate(table)
        if self._repeated:
            signs = data[sample.place(sample.sign_byte) :: sample.size].translate(self._signs)
            for byte in self._repeated:
                data[sample.place(byte) :: sample.size] = signs
        return data
