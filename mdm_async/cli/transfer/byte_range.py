"""`A-B` as users write it: first and last byte, as in HTTP's Range header (RFC 9110 §14.1.2)."""

import re
from dataclasses import dataclass

from mdm_async.errors import BadRequest

_FORM = re.compile(r"([0-9]*)-([0-9]*)")


@dataclass(frozen=True, slots=True)
class ByteRange:
    """`first` to `last`, both included; without `last` to the end, without `first` the final `last` bytes."""

    first: int | None
    last: int | None

    def within(self, size: int) -> tuple[int, int]:
        """Start and stop (excluded) in `size` bytes. BadRequest when no byte is there."""
        if self.first is None:
            start, stop = max(0, size - (self.last or 0)), size
        else:
            start, stop = self.first, size if self.last is None else min(self.last + 1, size)
        if start >= stop:
            raise BadRequest(f"no byte of the range is in the view ({size} bytes)")
        return start, stop


def parse_range(text: str) -> ByteRange:
    """'0-499', '500-' or '-500'."""
    match = _FORM.fullmatch(text)
    if match is None or text == "-":
        raise BadRequest("a range is malformed", remedy="write it as 0-499, 500- or -500")
    first, last = (int(number) if number else None for number in match.groups())
    if first is not None and last is not None and last < first:
        raise BadRequest("a range ends before it begins")
    return ByteRange(first, last)
