"""What the other server tells of a file's size and digests."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, Self

from multidict import CIMultiDictProxy

from mdm_async.errors import BadRequest, PeerFailed
from mdm_async.web.http.digest_fields import digests_in

WANTED: Final = "adler32"
"""The grid's checksum. Whatever else is told is compared, too, but need not be computed for us."""
_DIGITS = 18


@dataclass(frozen=True, slots=True)
class Promised:
    """`size` in bytes, None where it is not told; `digests` by algorithm."""

    size: int | None = None
    digests: Mapping[str, bytes] = field(default_factory=dict)

    @classmethod
    def of(cls, headers: CIMultiDictProxy[str]) -> Self:
        """Of an answer about the whole file. Raises PeerFailed."""
        try:
            told = digests_in(headers)
        except BadRequest:
            raise PeerFailed("the other server tells a digest that is none") from None
        digests: dict[str, bytes] = {}
        for one in told:
            if digests.setdefault(one.algorithm, one.value) != one.value:
                raise PeerFailed("the other server tells two digests of one kind")
        length = headers.get("Content-Length", "")
        is_size = length.isascii() and length.isdigit() and len(length) <= _DIGITS
        return cls(int(length) if is_size else None, digests)

    def joined(self, other: "Promised") -> "Promised | None":
        """What both say together; None when they contradict each other."""
        sizes = {size for size in (self.size, other.size) if size is not None}
        both = self.digests.keys() & other.digests.keys()
        if len(sizes) > 1 or any(self.digests[kind] != other.digests[kind] for kind in both):
            return None
        return Promised(next(iter(sizes), None), {**self.digests, **other.digests})
