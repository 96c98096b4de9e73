"""The parts of an answer (RFC 2046 §5.1), summed while they come and never kept."""

import zlib

_END_OF_HEADERS = b"\r\n\r\n"


class Parts:
    """`ended` once the last boundary has come."""

    def __init__(self, boundary: bytes) -> None:
        self.ended = False
        self._mark = b"\r\n--" + boundary
        self._sums: list[int] = []
        """Of what comes before the first boundary, which is no part, and of the parts."""
        self._held = b"\r\n"  # The first boundary may stand at the very beginning.
        self._sum: int | None = 1
        """Of the part that is being read; None between a boundary and the end of a part's headers."""

    @property
    def found(self) -> list[int]:
        """The ADLER32 of each part, in order, without its headers."""
        return self._sums[1:]

    def feed(self, data: memoryview) -> None:
        held = self._held + bytes(data)
        while not self.ended:
            if self._sum is None:
                end = held.find(_END_OF_HEADERS)
                self.ended = held.startswith(self._mark + b"--")
                if end < 0 or self.ended:
                    break
                held, self._sum = held[end + len(_END_OF_HEADERS) :], 1
            at = held.find(self._mark)
            if at < 0:
                kept = max(0, len(held) - len(self._mark) + 1)
                self._sum, held = zlib.adler32(held[:kept], self._sum), held[kept:]
                break
            self._sums.append(zlib.adler32(held[:at], self._sum))
            self._sum, held = None, held[at:]
        self._held = held
