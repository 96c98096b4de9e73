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

    def as_slice(self) -> tuple[int, int | None]:
        """Start and stop (excluded), as Python counts."""
        if self.first is None:
            return -(self.last or 0), None
        return self.first, None if self.last is None else self.last + 1


def parse_range(text: str) -> ByteRange:
    """'0-499', '500-' or '-500'."""
    match = _FORM.fullmatch(text)
    if match is None or text == "-" or re.fullmatch("-0+", text):
        raise BadRequest("a range is malformed", remedy="write it as 0-499, 500- or -500")
    first, last = (int(number) if number else None for number in match.groups())
    if first is not None and last is not None and last < first:
        raise BadRequest("a range ends before it begins")
    return ByteRange(first, last)
