"""How an MP4 file describes its one kind of video samples (ISO 14496-12 §12.1.3, ISO 14496-15 §5.3, §8.3)."""

import struct
from collections.abc import Generator, Iterator
from dataclasses import dataclass
from typing import Final

from mdm_async.dicom.pixels.findings import Findings
from mdm_async.dicom.pixels.jpeg import Unrecognisable
from mdm_async.dicom.pixels.video.units import Codec

_ENTRY: Final = 8
"""Where the first entry begins, after version and count."""
_BOXES: Final = 86
"""Where an entry's boxes begin."""
_EMPTIED: Final = ((8, 14), (16, 32), (44, 48), (50, 82), (84, 86))
"""Reserved and predefined fields of an entry, QuickTime's vendor, the compressor's name."""
_NUMERIC: Final = {b"pasp": 8, b"btrt": 12, b"fiel": 2, b"clap": 32}
"""Boxes of numbers, with their lengths."""
_COLOURS: Final = {b"nclx": 11, b"nclc": 10}
_EXTENDED: Final = frozenset({100, 110, 122, 144})
"""Profiles whose configuration goes on after the parameter sets."""
_BROKEN: Final = "an MP4 file whose video description is not whole"


@dataclass(frozen=True, slots=True)
class SampleEntry:
    """The content of an stsd box without texts, and of how many bytes the length before each unit is."""

    clean: bytes
    length_size: int

    @classmethod
    def of(cls, body: bytes, codec: Codec) -> "SampleEntry":
        """Raises Unrecognisable; struct.error and IndexError where it is too short."""
        if body[:_ENTRY] != struct.pack(">LL", 0, 1):
            raise Unrecognisable("an MP4 file with several descriptions of its video")
        size, name = struct.unpack_from(">L4s", body, _ENTRY)
        if name not in codec.sample_entries:
            raise Unrecognisable("a video of another kind than the transfer syntax")
        if _ENTRY + size != len(body) or size < _BOXES:
            raise Unrecognisable(_BROKEN)
        edited = _Edited(body)
        for start, stop in _EMPTIED:
            edited.wipe(_ENTRY + start, _ENTRY + stop)
        length_size = 0
        at = _ENTRY + _BOXES
        while len(body) - at >= 8 or body[at:].strip(b"\0"):  # QuickTime ends boxes with four zeros
            size, kind = struct.unpack_from(">L4s", body, at)
            begin, end = at + 8, at + size
            if not begin <= end <= len(body):
                raise Unrecognisable(_BROKEN)
            content = body[begin:end]
            if kind == codec.configuration and not length_size:
                length_size = _configuration(kind, content, begin, codec, edited)
            elif not (
                _NUMERIC.get(kind) == len(content)
                or (kind == b"colr" and _COLOURS.get(content[:4]) == len(content))
            ):
                edited.wipe(at + 4, at + 8, by=b"free")
                edited.wipe(begin, end)
            at = end
        if not length_size:
            raise Unrecognisable(_BROKEN)
        return cls(bytes(edited.data), length_size)


class _Edited(Findings):
    """Findings in bytes that are in memory, overwritten at once."""

    def __init__(self, data: bytes) -> None:
        super().__init__()
        self.data = bytearray(data)

    def wipe(self, start: int, stop: int, by: bytes = b"") -> None:
        self.data[start:stop] = by.ljust(stop - start, b"\0")


def _configuration(kind: bytes, content: bytes, begin: int, codec: Codec, edited: _Edited) -> int:
    """Clean the units in a decoder configuration, and give the size of a unit's length."""
    if content[:1] != b"\1":
        raise Unrecognisable(_BROKEN)
    for start, stop in _of_avc(content) if kind == b"avcC" else _of_hevc(content):
        header = content[start : start + codec.header]
        if stop - start < codec.header:
            raise Unrecognisable(_BROKEN)
        unit = codec.unit(header, edited)
        unit.feed(content[start + codec.header : stop], begin + start + codec.header)
        unit.end()
    return (content[4 if kind == b"avcC" else 21] & 3) + 1


def _units(content: bytes, at: int, count: int) -> Generator[tuple[int, int], None, int]:
    """Where so many units begin and end, each behind its length; then where the last one ends."""
    for _ in range(count):
        (length,) = struct.unpack_from(">H", content, at)
        if at + 2 + length > len(content):
            raise Unrecognisable(_BROKEN)
        yield at + 2, at + 2 + length
        at += 2 + length
    return at


def _of_avc(content: bytes) -> Iterator[tuple[int, int]]:
    """Where units begin and end. Raises Unrecognisable when anything is between or behind them."""
    at = 5
    for mask in (0x1F, 0xFF):
        at = yield from _units(content, at + 1, content[at] & mask)
    if content[1] in _EXTENDED and at + 4 <= len(content):
        at = yield from _units(content, at + 4, content[at + 3])
    if at != len(content):
        raise Unrecognisable(_BROKEN)


def _of_hevc(content: bytes) -> Iterator[tuple[int, int]]:
    arrays, at = content[22], 23
    for _ in range(arrays):
        (count,) = struct.unpack_from(">H", content, at + 1)
        at = yield from _units(content, at + 3, count)
    if at != len(content):
        raise Unrecognisable(_BROKEN)
