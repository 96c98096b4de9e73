"""Clear the unused bits of native pixels, where overlays were once put (PS3.5 §8.1.2, retired)."""

from collections.abc import Iterator
from typing import Final

from mdm_async.dicom.elements import Buffer
from mdm_async.dicom.pixels.description import OVERLAY_BITS, OVERLAY_DATA, OVERLAY_POSITION, Description
from mdm_async.dicom.pixels.layout import Layout

_BLOCK: Final = 1 << 16
"""Bytes that become one big integer: they should stay in the processor's cache."""


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


def obstacle(layout: Layout, about: Description, bits: list[int]) -> str | None:
    """Why overlays at these bits cannot be cleared without harm to the picture; None when they can."""
    if layout.bits not in (8, 16, 32) or not layout.stored_fit or (layout.big_endian and layout.bits > 16):
        return "the pixels' bits are packed in an unusual way"
    shifts = range(0, 0x100 << 16, 0x2 << 16)
    if any(about.ambiguous(tag + shift) for tag in (OVERLAY_BITS, OVERLAY_POSITION) for shift in shifts):
        return "the description contradicts itself"
    if any(layout.shift <= bit <= layout.high or bit >= layout.bits for bit in bits):
        return "its bits are the picture's"
    return None


def stored_bits(layout: Layout) -> int:
    """A mask with the bits set that hold the picture."""
    return ((1 << layout.stored) - 1) << layout.shift


class Masker:
    """Keeps the masked bits of every sample."""

    def __init__(self, layout: Layout, mask: int) -> None:
        self._sample = mask.to_bytes(layout.bits // 8, layout.byte_order)
        self._known: dict[tuple[int, int], int] = {}

    def mask(self, data: Buffer, at: int) -> bytes:
        """These bytes, which are `at` bytes after the first sample's first, with the other bits cleared."""
        return b"".join(self._blocks(memoryview(data), at % len(self._sample)))

    def _blocks(self, data: memoryview, phase: int) -> Iterator[bytes]:
        whole = self._bits(phase, _BLOCK)
        for begin in range(0, len(data), _BLOCK):
            block = data[begin : begin + _BLOCK]
            kept = whole if len(block) == _BLOCK else self._bits(phase, len(block))
            yield (int.from_bytes(block, "little") & kept).to_bytes(len(block), "little")

    def _bits(self, phase: int, length: int) -> int:
        repeated = self._sample * (length // len(self._sample) + 2)
        return int.from_bytes(repeated[phase : phase + length], "little")
