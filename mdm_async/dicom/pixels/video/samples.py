"""Where an MP4 file's tables say that the samples of its one track lie (ISO 14496-12 §8.7)."""

import struct
from array import array
from bisect import bisect_right
from itertools import pairwise
from typing import Final

from mdm_async.dicom.pixels.jpeg import Unrecognisable

MOST: Final = 1 << 20
"""Samples: five hours at sixty frames a second."""
_TABLES: Final = "an MP4 file whose tables contradict each other"


class Samples:
    """Filled by the boxes of a sample table, in any order."""

    def __init__(self) -> None:
        self._sizes: list[int] | None = None
        self._chunks: list[int] | None = None
        self._runs: list[tuple[int, int]] | None = None
        """(number of the first chunk from 1, samples in each from there on)."""
        self._timed: list[int] = []
        """How many samples each table of times tells of."""
        self._last_entry = 0

    def sizes(self, body: bytes) -> None:
        """Take an stsz box."""
        same, count = struct.unpack_from(">LL", body, 4)
        _demand(self._sizes is None and count <= MOST and len(body) == 12 + (0 if same else 4 * count))
        self._sizes = [same] * count if same else list(struct.unpack_from(f">{count}L", body, 12))

    def chunks(self, body: bytes, *, width: int) -> None:
        """Take an stco or co64 box, whose offsets have this many bytes."""
        (count,) = struct.unpack_from(">L", body, 4)
        _demand(self._chunks is None and count <= MOST and len(body) == 8 + width * count)
        self._chunks = list(struct.unpack_from(f">{count}{'L' if width == 4 else 'Q'}", body, 8))

    def runs(self, body: bytes) -> None:
        """Take an stsc box."""
        (count,) = struct.unpack_from(">L", body, 4)
        _demand(self._runs is None and count <= MOST and len(body) == 8 + 12 * count)
        numbers = struct.unpack_from(f">{3 * count}L", body, 8)
        _demand(all(description == 1 for description in numbers[2::3]))
        self._runs = list(zip(numbers[::3], numbers[1::3], strict=True))

    def times(self, body: bytes) -> None:
        """Take an stts or ctts box: (samples, time of each)."""
        counts = [count for count, _ in struct.iter_unpack(">2L", body[8:])]
        _demand(all(counts))
        self._timed.append(sum(counts))

    def entries(self, body: bytes) -> None:
        """Take an stss box: the numbers of those that need no others."""
        numbers = [0, *(number for (number,) in struct.iter_unpack(">L", body[8:]))]
        _demand(all(a < b for a, b in pairwise(numbers)))
        self._last_entry = numbers[-1]

    def places(self) -> "Places":
        """Of all samples. Raises Unrecognisable when the tables are not whole, or not in the file's order."""
        if self._sizes is None or self._chunks is None or self._runs is None:
            raise Unrecognisable("an MP4 file whose tables are not whole")
        first_chunks = [first for first, _ in self._runs]
        starts, stops = array("Q"), array("Q")
        sizes = iter(self._sizes)
        for number, at in enumerate(self._chunks, 1):
            run = bisect_right(first_chunks, number) - 1
            _demand(run >= 0 and self._runs[run][1] <= len(self._sizes) - len(starts))
            _demand(not stops or at >= stops[-1])
            for _ in range(self._runs[run][1]):
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


def _demand(condition: bool) -> None:
    if not condition:
        raise Unrecognisable(_TABLES)
