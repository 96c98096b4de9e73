"""The marker segments that describe a JPEG 2000 picture: nothing may be in them but what they have to say."""

from collections.abc import Callable
from typing import Final

LONGEST: Final = 4096
"""Bytes of a segment after its length that are looked at: SIZ of over a thousand components."""
_MOST_LEVELS: Final = 32
_MOST_BITS: Final = 38


class Segments:
    """Those of one codestream (ISO 15444-1 Annex A), in their order."""

    def __init__(self) -> None:
        self._components = 0
        self._levels = 0
        """Of decomposition: the most that COD and COC speak of."""
        self._quantized = 0
        """Of decomposition: the most that QCD and QCC speak of."""

    @property
    def agree(self) -> bool:
        """Whether no more levels are quantized than there are; ask after the last segment."""
        return self._quantized <= self._levels

    def nothing_else(self, marker: int, body: bytes) -> bool:
        """Whether the segment is what its marker says, to the last byte; the marker is one of `KNOWN`.

        `body` comes after the length field.
        """
        return _CHECKS[marker](self, body)

    def _capabilities(self, body: bytes) -> bool:
        """CAP: a bit for each part of the standard that is used, and two bytes on each."""
        return len(body) == 4 + 2 * int.from_bytes(body[:4], "big").bit_count()

    def _profile(self, body: bytes) -> bool:
        """PRF, CPF: the number of a profile, in words of 16 bits."""
        return len(body) in (2, 4)

    def _size(self, body: bytes) -> bool:
        """SIZ: the picture's and the tiles' size and place, and each component's depth and steps."""
        self._components = int.from_bytes(body[34:36], "big")
        return (
            len(body) == 36 + 3 * self._components
            and all(depth & 0x7F < _MOST_BITS for depth in body[36::3])
            and all(step in (1, 2, 4) for step in body[37::3] + body[38::3])
        )

    def _coding(self, body: bytes) -> bool:
        """COD: a style, the order of packets, layers, the components' transformation, and the coding."""
        return len(body) > 5 and self._coding_style(body[0], body[5:])

    def _component_coding(self, body: bytes) -> bool:
        """COC."""
        rest = self._of_component(body)
        return len(rest) > 1 and self._coding_style(rest[0], rest[1:])

    def _coding_style(self, style: int, body: bytes) -> bool:
        """Levels, four bytes on code-blocks and the transformation, then a precinct's size per resolution."""
        levels = body[0]
        self._levels = max(self._levels, levels)
        return levels <= _MOST_LEVELS and len(body) == 5 + (levels + 1 if style & 1 else 0)

    def _quantization(self, body: bytes) -> bool:
        """QCD: a style, then the step of every sub-band: three per level and one."""
        style = body[0] & 0x1F if body else -1
        if style == 1:  # the others are derived from the first
            return len(body) == 3
        size = {0: 1, 2: 2}.get(style)
        if size is None or len(body) < 1 + size or (len(body) - 1) % (3 * size) != size:
            return False
        self._quantized = max(self._quantized, (len(body) - 1) // (3 * size))
        return True

    def _component_quantization(self, body: bytes) -> bool:
        """QCC."""
        return self._quantization(self._of_component(body))

    def _region(self, body: bytes) -> bool:
        """RGN: a style, and a shift."""
        return len(self._of_component(body)) == 2

    def _progressions(self, body: bytes) -> bool:
        """POC: first and last resolution and component, last layer, order; one change or more."""
        number = self._number_size
        size = 5 + 2 * number
        changes = [body[at : at + size] for at in range(0, len(body), size)]
        return len(body) > 0 and all(
            len(one) == size
            and one[0] <= _MOST_LEVELS
            and one[3 + number] <= _MOST_LEVELS + 1
            and one[-1] <= 4
            for one in changes
        )

    def _of_component(self, body: bytes) -> bytes:
        """What comes after the number of a component; nothing when there is no such component."""
        size = self._number_size
        return body[size:] if int.from_bytes(body[:size], "big") < self._components else b""

    @property
    def _number_size(self) -> int:
        return 1 if self._components < 257 else 2


_CHECKS: Final[dict[int, Callable[[Segments, bytes], bool]]] = {
    0x50: Segments._capabilities,
    0x51: Segments._size,
    0x52: Segments._coding,
    0x53: Segments._component_coding,
    0x56: Segments._profile,
    0x59: Segments._profile,
    0x5C: Segments._quantization,
    0x5D: Segments._component_quantization,
    0x5E: Segments._region,
    0x5F: Segments._progressions,
}
KNOWN: Final = frozenset(_CHECKS)
"""Second bytes of markers. Not Part 2's, whose arrays can hold anything, and not packed packet headers."""
