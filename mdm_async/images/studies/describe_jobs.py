"""The jobs of describing images, which a scrubber does: they go through all that stands beside the pixels."""

from dataclasses import dataclass

from mdm_async.dicom.filemeta import read_meta
from mdm_async.dicom.json_model import Bulk, Path, bulk_of, json_of
from mdm_async.dicom.pixels.placed import Placed, placed

_TRANSFER_SYNTAX = 0x00083002
"""Available Transfer Syntax UID: file meta does not stand in a model."""


@dataclass(frozen=True, slots=True, repr=False)
class Tell:
    """The model as JSON."""

    head: bytes
    tail: bytes
    pixels: bytes
    """How they begin; nothing when there are none."""
    bulk: tuple[str, str]
    """What stands before and behind the name of a value in its address, of those that do not stand in it."""

    @property
    def size(self) -> int:
        return len(self.head) + len(self.tail)

    alone = False

    def run(self) -> bytes:
        meta = read_meta(self.head)
        beside = {_TRANSFER_SYNTAX: {"vr": "UI", "Value": [meta.transfer_syntax]}}
        if self.pixels:
            u16 = meta.encoding.u16
            tag = u16.unpack_from(self.pixels, 0)[0] << 16 | u16.unpack_from(self.pixels, 2)[0]
            vr = self.pixels[4:6].decode("ascii", "replace") if meta.encoding.explicit else "OW"
            beside[tag] = {"vr": vr, "BulkDataURI": self._address((tag,))}
        return json_of(self.head, self.tail, self._address, beside)

    def _address(self, path: Path) -> str:
        named = (f"{one:08X}" if place % 2 == 0 else str(one) for place, one in enumerate(path))
        return f"{self.bulk[0]}{'.'.join(named)}{self.bulk[1]}"


@dataclass(frozen=True, slots=True, repr=False)
class Seek:
    """Where a value lies that does not stand in the model."""

    head: bytes
    tail: bytes
    path: Path

    @property
    def size(self) -> int:
        return len(self.head) + len(self.tail)

    alone = False

    def run(self) -> Bulk | None:
        return bulk_of(self.head, self.tail, self.path)


@dataclass(frozen=True, slots=True, repr=False)
class Place:
    """Where the pixels lie; as `placed`."""

    head: bytes
    begin: bytes
    end: int

    @property
    def size(self) -> int:
        return len(self.head)

    alone = False

    def run(self) -> Placed:
        return placed(self.head, self.begin, self.end)
