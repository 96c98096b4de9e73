"""What a head says about an image's pixels, and what has been seen of them: all that planning and refusing need."""

from dataclasses import dataclass
from typing import Final

from mdm_async.dicom.elements import Encoding
from mdm_async.dicom.filemeta import uid_text
from mdm_async.dicom.pixels.burned_in_table import judgements
from mdm_async.dicom.profile import Region
from mdm_async.dicom.profiles.conditions import CONDITION_ATTRIBUTES

SOP_CLASS, BURNED_IN, RECOGNIZABLE = 0x00080016, 0x00280301, 0x00280302
IMAGE_TYPE, FRAME_TYPE = 0x00080008, 0x00089007
"""The second is the first of some frames, in functional groups."""
SAMPLES, PHOTOMETRIC, PLANAR, FRAMES = 0x00280002, 0x00280004, 0x00280006, 0x00280008
ROWS, COLUMNS = 0x00280010, 0x00280011
BITS_ALLOCATED, BITS_STORED, HIGH_BIT, SIGNED = 0x00280100, 0x00280101, 0x00280102, 0x00280103
LAYOUT: Final = (
    *(SAMPLES, PHOTOMETRIC, PLANAR, FRAMES, ROWS, COLUMNS),
    *(BITS_ALLOCATED, BITS_STORED, HIGH_BIT, SIGNED),
)
"""What native pixels are laid out by (PS3.3 §C.7.6.3)."""
EXTENDED_OFFSETS, EXTENDED_LENGTHS, TOTAL_LENGTH = 0x7FE00001, 0x7FE00002, 0x7FE00003
EXTENDED_TABLE: Final = frozenset({EXTENDED_OFFSETS, EXTENDED_LENGTHS, TOTAL_LENGTH})
"""Where fragments begin and how long they are, told before the pixels (PS3.3 §C.7.6.3)."""
OVERLAY_DATA, OVERLAY_BITS, OVERLAY_POSITION = 0x60003000, 0x60000100, 0x60000102
"""Of the first overlay group; others are (group - 6000) << 16 higher."""

_OVERLAY: Final = frozenset({OVERLAY_DATA, OVERLAY_BITS, OVERLAY_POSITION})
_WATCHED: Final = frozenset(
    {
        *(SOP_CLASS, BURNED_IN, RECOGNIZABLE, FRAME_TYPE),
        *(*LAYOUT, *EXTENDED_TABLE, *CONDITION_ATTRIBUTES, *judgements()),
    }
)
WATCHED_BYTES: Final = 1024
"""More of one value is not noted."""
_NUMBERS: Final = frozenset(LAYOUT) - {PHOTOMETRIC, FRAMES}


PIXELS_REVISION: Final = 2
"""Goes up with every change of what is found in pixels, or of how they are cleaned; `scrub.REVISION` then does too.

Pixels that an older one looked at are looked at again before a view is made of them.
"""


@dataclass(frozen=True)
class PixelFacts:
    """What the caller has learnt of the pixels while they streamed by (`part10`, `inspector`)."""

    present: bool
    value_length: int
    """Bytes of the value field."""
    encapsulated: bool
    findings: tuple[str, ...]
    """What lies in the codestreams that is no picture, such as "JPEG comment"; without its content."""


def watched(tag: int) -> bool:
    """Whether a `Description` wants the value of this top-level element."""
    return tag in _WATCHED or (tag >> 24 == 0x60 and tag & 0xFF00FFFF in _OVERLAY)


class Description:
    """Values of watched top-level elements, as encoded.

    An element may be there twice: readers differ in which they take, so rules that must not err look at all of them.
    """

    def __init__(self, encoding: Encoding) -> None:
        self.encoding = encoding
        self.big_endian = encoding.big_endian
        self.values: dict[int, bytes] = {}
        """The last value of each."""
        self._all: dict[int, set[bytes]] = {}
        self.ultrasound_regions: list[tuple[Region, ...] | None] = []
        """Of every Sequence of Ultrasound Regions; None for one that cannot be understood."""
        self.anatomy: set[str] = set()
        """Code values of every Anatomic Region Sequence at top level."""
        self.frame_anatomy: set[str] = set()
        """Those of deeper ones."""

    def note(self, tag: int, value: bytes) -> None:
        self.values[tag] = value
        self._all.setdefault(tag, set()).add(value)

    def cut(self, tag: int) -> bool:
        """Whether a value may be longer than what was noted of it."""
        return any(len(value) >= WATCHED_BYTES for value in self._all.get(tag, ()))

    def text(self, tag: int) -> str:
        """The last value in capitals, "" when there is none."""
        return uid_text(self.values.get(tag, b"")).upper()

    def texts(self, tag: int) -> set[str]:
        """Every value that is there, in capitals."""
        return {uid_text(value).upper() for value in self._all.get(tag, ())}

    def readings(self, tag: int) -> set[str]:
        """Every value that is there, as people write it: text in its own case, numbers in decimal digits."""
        return {self._reading(tag, value) for value in self._all.get(tag, ())}

    def number(self, tag: int, default: int | None = None) -> int | None:
        """The first 16-bit number of the last value, or the default when there is none."""
        return self._number(self.values.get(tag, b""), default)

    def ambiguous(self, tag: int) -> bool:
        """Whether readers may differ in what they take."""
        return len(self._all.get(tag, ())) > 1

    def _number(self, value: bytes, default: int | None = None) -> int | None:
        if len(value) < 2:
            return default
        return int.from_bytes(value[:2], "big" if self.big_endian else "little")

    def _reading(self, tag: int, value: bytes) -> str:
        if tag in _NUMBERS:
            return str(self._number(value, 0))
        try:
            text = value.decode()
        except UnicodeDecodeError:
            text = value.decode("latin-1")
        return text.strip("\0 ")
