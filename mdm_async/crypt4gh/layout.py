"""The sealed transfer: where each part of a view lies in the Crypt4GH stream that one recipient gets.

The stream is header ‖ segments of part 0 ‖ segments of part 1 ‖ … in file order. Every part has a key and a
nonce prefix of its own. Only the last segment of the whole stream may be short, for ordinary readers cut the
stream every 65,564 bytes; so each part but the last non-empty one is padded with zeros to whole segments, and
the header's edit list skips the padding. Server and client compute the same layout from the same parts.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Final

from mdm_async.crypt4gh.header import edit_list_for, header_length
from mdm_async.crypt4gh.segment import (
    PREFIX,
    SEGMENT,
    cipher_size,
    cipher_span,
    covering,
    padded,
    segment_count,
)

_PACKET_ORDER: Final = {1: (0,), 2: (1, 0), 3: (1, 0, 2)}


@dataclass(frozen=True)
class SealedPart:
    """A part of a sealed transfer, in stream order.

    `plain_size` in bytes, without padding; `prefix` of its nonces, 7 bytes. `padded`: its stored segments are
    whole although nothing follows it here, because in another view of the image something does.
    """

    plain_size: int
    prefix: bytes
    padded: bool = False

    def __post_init__(self) -> None:
        if self.plain_size < 0 or len(self.prefix) != PREFIX:
            raise ValueError("a part has a size of at least 0 and a prefix of 7 bytes")


@dataclass(frozen=True)
class Covering:
    """The segments of one part that hold a wanted range of the plaintext.

    `first_segment` ≤ i < `stop_segment` within the part; `cipher_start`, `cipher_stop`: where they lie in the
    sealed stream, header included; `cut_start`, `cut_stop`: where the wanted bytes lie in their plaintext.
    """

    part: int
    first_segment: int
    stop_segment: int
    cipher_start: int
    cipher_stop: int
    cut_start: int
    cut_stop: int


def packet_order(n_parts: int) -> tuple[int, ...]:
    """Which part each data-key packet belongs to. Readers try keys in order, so the pixels' comes first."""
    if n_parts not in _PACKET_ORDER:
        raise ValueError("a view has 1 to 3 parts")
    return _PACKET_ORDER[n_parts]


class SealedLayout:
    """Sizes and places, in bytes, of a sealed transfer made of `parts`.

    `edit_list`, `header_size`, `plain_size` (of the view) and `stream_size` (of all that is sent);
    by part: `sealed_sizes` (plaintext with its padding), `segments`, `cipher_sizes`, `cipher_starts` (in the
    stream, header included) and `plain_starts` (in the view).
    """

    def __init__(self, parts: Sequence[SealedPart]) -> None:
        self.parts: Final = tuple(parts)
        sizes = [part.plain_size for part in self.parts]
        last = max((place for place, size in enumerate(sizes) if size), default=0)
        order = packet_order(len(sizes))
        last_padded = self.parts[last].padded

        self.edit_list: Final = edit_list_for(sizes, last_padded=last_padded)
        self.header_size: Final = header_length(len(order), len(self.edit_list or ()))
        self.sealed_sizes: Final = tuple(
            padded(size) if place != last or last_padded else size for place, size in enumerate(sizes)
        )
        self.segments: Final = tuple(segment_count(size) for size in sizes)
        self.cipher_sizes: Final = tuple(cipher_size(size) for size in self.sealed_sizes)
        *plain_starts, self.plain_size = accumulate(sizes, initial=0)
        *cipher_starts, self.stream_size = accumulate(self.cipher_sizes, initial=self.header_size)
        self.plain_starts: Final = tuple(plain_starts)
        self.cipher_starts: Final = tuple(cipher_starts)

    def __repr__(self) -> str:
        return f"SealedLayout(plain_size={self.plain_size}, stream_size={self.stream_size})"

    def locate(self, plain_start: int, plain_stop: int) -> list[Covering]:
        """The segments to fetch for the view's bytes plain_start ≤ i < plain_stop, part by part.

        They follow each other in the stream without a gap. ValueError when the range is not within the view.
        """
        if not 0 <= plain_start <= plain_stop <= self.plain_size:
            raise ValueError("the range is not within the view")
        found = []
        for part, begin in enumerate(self.plain_starts):
            start = max(plain_start - begin, 0)
            stop = min(plain_stop - begin, self.parts[part].plain_size)
            if start < stop:
                found.append(self._covering(part, start, stop))
        return found

    def run(self, part: int, first_segment: int, stop_segment: int) -> Covering:
        """Whole segments of one part, first_segment ≤ i < stop_segment; only padding is cut off."""
        size = self.parts[part].plain_size
        return self._covering(part, first_segment * SEGMENT, min(stop_segment * SEGMENT, size))

    def _covering(self, part: int, start: int, stop: int) -> Covering:
        run = covering(start, stop)
        cipher_start, cipher_stop = cipher_span(run, self.sealed_sizes[part])
        begin = run.start * SEGMENT
        return Covering(
            part,
            run.start,
            run.stop,
            self.cipher_starts[part] + cipher_start,
            self.cipher_starts[part] + cipher_stop,
            start - begin,
            stop - begin,
        )
