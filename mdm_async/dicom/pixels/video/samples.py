"""Where an MP4 file's tables say that the samples of its one track lie (ISO 14496-12 §8.7)."""

import struct
import sys
from array import array
from bisect import bisect_right
from itertools import chain, pairwise
from typing import Final

from mdm_async.dicom.pixels.jpeg import Unrecognisable

MOST: Final = 1 << 20
"""Samples: five hours at sixty frames a second."""
_FARTHEST: Final = 1 << 63
"""Byte at which samples may begin: no file is that long."""
_TABLES: Final = "an MP4 file whose tables contradict each other"


class Samples:
    """Filled by the boxes of a sample table, in any order."""

    def __init__(self) -> None:
        self._sizes: array[int] | None = None
        self._chunks: array[int] | None = None
        self._first_chunks: array[int] | None = None
        """Of each run of chunks, from 1."""
        self._in_each: array[int] = array("I")
        """Samples in each chunk of a run."""
        self._timed: list[int] = []
        """How many samples each table of times tells of."""
        self._last_entry = 0

    def sizes(self, body: bytes) -> None:
        """Take an stsz box."""
        same, count = struct.unpack_from(">LL", body, 4)
        _demand(self._sizes is None and count <= MOST and len(body) == 12 + (0 if same else 4 * count))
        self._sizes = array("I", [same]) * count if same else _numbers(body[12:])

    def chunks(self, body: bytes, *, width: int) -> None:
        """Take an stco or co64 box, whose offsets have this many bytes."""
        (count,) = struct.unpack_from(">L", body, 4)
        _demand(self._chunks is None and count <= MOST and len(body) == 8 + width * count)
        self._chunks = _numbers(body[8:], width)

    def runs(self, body: bytes) -> None:
        """Take an stsc box."""
        (count,) = struct.unpack_from(">L", body, 4)
        _demand(self._first_chunks is None and count <= MOST and len(body) == 8 + 12 * count)
        numbers = _numbers(body[8:])
        _demand(all(description == 1 for description in numbers[2::3]))
        self._first_chunks, self._in_each = numbers[::3], numbers[1::3]

    def times(self, body: bytes) -> None:
        """Take an stts or ctts box: (samples, time of each)."""
        counts = _numbers(body[8:])[::2]
        _demand(all(counts))
        self._timed.append(sum(counts))

    def entries(self, body: bytes) -> None:
        """Take an stss box: the numbers of those that need no others."""
        numbers = _numbers(body[8:])
        _demand(all(a < b for a, b in pairwise(chain((0,), numbers))))
        self._last_entry = numbers[-1] if numbers else 0

    def places(self) -> "Places":
        """Of all samples. Raises Unrecognisable when the tables are not whole, or not in the file's order."""
        if self._sizes is None or self._chunks is None or self._first_chunks is None:
            raise Unrecognisable("an MP4 file whose tables are not whole")
        starts, stops = array("Q"), array("Q")
        sizes = iter(self._sizes)
        for number, at in enumerate(self._chunks, 1):
            run = bisect_right(self._first_chunks, number) - 1
            _demand(run >= 0 and self._in_each[run] <= len(self._sizes) - len(starts))
            _demand(at <= _FARTHEST and (not stops or at >= stops[-1]))
            for _ in range(self._in_each[run]):
                size = next(sizes)
                starts.append(at)
                at += size
                stops.append(at)
        _demand(len(starts) == len(self._sizes) > 0)
        _demand(self._last_entry <= len(starts) and all(count == len(starts) for count in self._timed))
        return Places(starts, stops)


class Places:
    """Samples by their first and last bytes, ascending, counted from the file's begin."""

    def __init__(self, starts: "array[int]", stops: "array[int]") -> None:
        self.starts = starts
        self.stops = stops

    def __len__(self) -> int:
        return len(self.starts)


def _numbers(data: bytes, width: int = 4) -> "array[int]":
    """Big endian ones of so many bytes: a tenth of what a list of them takes."""
    numbers = array("I" if width == 4 else "Q", data)
    if sys.byteorder == "little":
        numbers.byteswap()
    return numbers


def _demand(condition: bool) -> None:
    if not condition:
        raise Unrecognisable(_TABLES)
