"""Read a format step by step from bytes that are pushed in chunks: a parser written as a generator pulls them."""

import re
from collections.abc import Generator

Steps = Generator[None, bytes, None]
Take = Generator[None, bytes, bytes]
Count = Generator[None, bytes, int]
Check = Generator[None, bytes, bool]
Until = Generator[None, bytes, tuple[bytes, bytes]]

_NOT_ZERO = re.compile(rb"[^\0]")


class Pulled:
    """The bytes that a generator parser reads; it yields whenever it needs the next chunk, and is sent that."""

    def __init__(self, taken: int = 0) -> None:
        self._chunk = b""
        self._at = 0
        self._gathered = bytearray()
        """What came of a whole that is still to be taken."""
        self.taken = taken
        """Bytes read or skipped so far, and before."""
        self.lacks = b""
        """What is missing for a whole if the bytes end now; empty where this is no place to end."""
        self.ends_at: int | None = None
        """Where the whole would then end; None for wherever the bytes do."""

    def take(self, count: int) -> Take:
        """The next `count` bytes: they are gathered."""
        if len(self._chunk) - self._at < count:
            # In place: joining chunks again and again takes forever where they are tiny.
            self._gathered, self._chunk, self._at = bytearray(self._chunk[self._at :]), b"", 0
            while len(self._gathered) < count:
                self._gathered += yield
            self._chunk, self._gathered = bytes(self._gathered), bytearray()
        self._at += count
        self.taken += count
        return self._chunk[self._at - count : self._at]

    def skip(self, count: int) -> Steps:
        """Step over `count` bytes, however many."""
        self.taken += count
        while (here := len(self._chunk) - self._at) < count:
            count -= here
            self._chunk = yield
            self._at = 0
        self._at += count

    def skip_zeros(self, count: int) -> Check:
        """Step over `count` bytes, however many: whether all are zeros."""
        zeros = True
        while count:
            some = yield from self.rest(count)
            count -= len(some)
            zeros = zeros and not some.strip(b"\0")
        return zeros

    def rest(self, limit: int | None = None) -> Take:
        """What is left of the current chunk, or the next one; `limit` bytes of it at most."""
        while self._at == len(self._chunk):
            self._chunk = yield
            self._at = 0
        end = len(self._chunk) if limit is None else min(self._at + limit, len(self._chunk))
        rest = self._chunk[self._at : end]
        self.taken += end - self._at
        self._at = end
        return rest

    def find(self, two_bytes: re.Pattern[bytes]) -> Take:
        """Step over everything before the first match of a pattern for two bytes, and take the match."""
        while True:
            if match := two_bytes.search(self._chunk, self._at):
                self.taken += match.end() - self._at
                self._at = match.end()
                return match.group()
            last = self._chunk[max(self._at, len(self._chunk) - 1) :]
            self.taken += len(self._chunk) - self._at - len(last)
            self._chunk = last + (yield)
            self._at = 0

    def before(self, pattern: re.Pattern[bytes], length: int) -> Until:
        """The next bytes before a match of a pattern for `length` bytes, some at a time; and the match, taken too.

        b"" where there is none so far.
        """
        while True:
            if match := pattern.search(self._chunk, self._at):
                before = self._chunk[self._at : match.start()]
                self._step(match.end())
                return before, match.group()
            if (stop := len(self._chunk) - length + 1) > self._at:
                before = self._chunk[self._at : stop]
                self._step(stop)
                return before, b""
            self._chunk = self._chunk[self._at :] + (yield)
            self._at = 0

    def after_zeros(self) -> Take:
        """Step over zeros, however many, and take the byte after them."""
        while not (match := _NOT_ZERO.search(self._chunk, self._at)):
            self._step(len(self._chunk))
            self._chunk = yield
            self._at = 0
        self._step(match.end())
        return match.group()

    def give_back(self, count: int) -> None:
        """Untake the last `count` bytes of what was taken by one call just now."""
        self._step(self._at - count)

    @property
    def left(self) -> bytes:
        """What has been sent and not been taken."""
        return bytes(self._gathered) or self._chunk[self._at :]

    def _step(self, to: int) -> None:
        self.taken += to - self._at
        self._at = to
