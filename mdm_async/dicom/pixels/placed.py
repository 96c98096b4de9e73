"""Where a file has its pixels, and what it says of them."""

from collections.abc import Mapping
from dataclasses import astuple, dataclass, replace
from typing import Any, Final, Self

from mdm_async.dicom.byte_order import word_of_pixels
from mdm_async.dicom.elements import UNDEFINED, Encoding, encoding_of
from mdm_async.dicom.filemeta import read_meta
from mdm_async.dicom.pixels.description import (
    EXTENDED_LENGTHS,
    EXTENDED_OFFSETS,
    WATCHED_BYTES,
    Description,
    watched,
)
from mdm_async.dicom.pixels.layout import Layout
from mdm_async.dicom.walking import walk

_REPRESENTATIVE: Final = 0x00286010
"""Representative Frame Number."""
PIXELS_HEADER: Final = 12
"""Bytes of the element that holds pixels, at the most, before its value."""


@dataclass(frozen=True, slots=True)
class Placed:
    """What a head says of the pixels behind it, and where they begin."""

    transfer_syntax: str
    tag: int
    vr: bytes
    start: int
    length: int | None
    """Bytes of the value; None of encapsulated ones."""
    end: int
    """Where the pixels' part ends."""
    layout: Layout | None
    extended: tuple[bytes, bytes] | None
    encoding: Encoding
    representative: int = 1
    """The frame that stands for all: the one that the image names, or else the middle one."""

    @property
    def in_little(self) -> Self:
        """What describes its pixels by themselves, read in little endian."""
        layout = replace(self.layout, big_endian=False) if self.layout is not None else None
        return replace(self, layout=layout, extended=None)

    @property
    def told(self) -> dict[str, Any]:
        """All but the Extended Offset Table, for JSON."""
        return {
            "syntax": self.transfer_syntax,
            "tag": self.tag,
            "vr": self.vr.decode("latin-1"),
            "start": self.start,
            "length": self.length,
            "end": self.end,
            "layout": astuple(self.layout) if self.layout is not None else None,
            "representative": self.representative,
        }

    @classmethod
    def of(cls, told: Mapping[str, Any]) -> Self:
        return cls(
            told["syntax"],
            told["tag"],
            told["vr"].encode("latin-1"),
            told["start"],
            told["length"],
            told["end"],
            Layout(*told["layout"]) if told["layout"] is not None else None,
            None,
            encoding_of(told["syntax"]),
            told["representative"],
        )

    @property
    def in_words(self) -> bool:
        """Whether its bytes would be others in the other byte order."""
        return self.word > 1

    @property
    def word(self) -> int:
        """Bytes of one word that is big endian; 1 where there is none."""
        if not self.encoding.big_endian:
            return 1
        return word_of_pixels(self.vr, self.layout.bits if self.layout is not None else 0)


def placed(head: bytes, begin: bytes, end: int) -> Placed:
    """`begin`: the first bytes of the pixels' part; `end`: where it ends. Raises NotDicom, Malformed."""
    meta = read_meta(head)
    about = Description(meta.encoding)
    extended: dict[int, bytes] = {}
    named = 0
    for element in walk(head, meta.end, len(head), meta.encoding):
        if element.tag in (EXTENDED_OFFSETS, EXTENDED_LENGTHS):
            extended[element.tag] = head[element.value : element.value + element.length]
        elif element.tag == _REPRESENTATIVE and element.length == 2:
            named = meta.encoding.u16.unpack_from(head, element.value)[0]
        elif watched(element.tag):
            about.note(element.tag, head[element.value : element.value + min(element.length, WATCHED_BYTES)])
    tag, vr, value, length = meta.encoding.header(begin, 0, len(begin))
    table = (extended[EXTENDED_OFFSETS], extended[EXTENDED_LENGTHS]) if len(extended) == 2 else None
    layout = Layout.of(about)
    count = layout.frames if layout is not None else 1
    return Placed(
        meta.transfer_syntax,
        tag,
        vr or b"OW",
        len(head) + value,
        None if length == UNDEFINED else length,
        end,
        layout,
        table,
        meta.encoding,
        named if 1 <= named <= count else (count + 1) // 2,
    )
