"""How long what failed is tried again, and how long to wait before."""

import asyncio
import random
import time
from collections.abc import Callable
from typing import Final, TypeAlias

from mdm_async.errors import MdmError, TooManyRequests

FIRST: Final = 0.1
LONGEST: Final = 10.0
LONGEST_ASKED: Final = 60
"""Seconds that a server may ask to be left alone; of a failure that passes later the caller is told at once."""
TURNED_AWAY: Final = 600.0
"""Seconds without progress for which a server that says "later" is asked again."""
SAID_FROM: Final = 3.0
"""Seconds; before a longer wait for what failed is told why."""

OnWait: TypeAlias = Callable[[MdmError, float], None]
"""Told why it is waited (the server says "later", or failed), and for how many seconds."""


class Patience:
    """Of one call, or of one transfer.

    So many failures in a row are enough (one: there is no second try). 429 is none of them: nothing was done, and the
    server says when to come back.
    """

    def __init__(self, attempts: int, on_wait: OnWait | None = None) -> None:
        self._attempts, self._on_wait = attempts, on_wait
        self._failures = self._refusals = 0
        self._since = 0.0

    def progress(self) -> None:
        """Something came: what failed before counts no more."""
        self._failures = self._refusals = 0

    async def after(self, error: MdmError, *, at_once: bool = False) -> None:
        """Wait, and let it be tried again; raises the error when it is enough. `at_once`: the first time does not
        wait."""
        if isinstance(error, TooManyRequests):
            seconds = self._until_let_in(error)
        else:
            self._failures, self._refusals = self._failures + 1, 0  # It was let in meanwhile.
            if self._failures >= self._attempts or (error.retry_after or 0) > LONGEST_ASKED:
                raise error
            seconds = 0.0 if at_once and self._failures == 1 else delay(self._failures, error.retry_after)
            if self._on_wait is not None and seconds >= SAID_FROM:
                self._on_wait(error, seconds)
        await asyncio.sleep(seconds)

    def _until_let_in(self, error: MdmError) -> float:
        now = time.monotonic()
        if not self._refusals:
            self._since = now
        self._refusals += 1
        seconds = delay(self._refusals, error.retry_after)
        if self._attempts == 1 or now + seconds - self._since > TURNED_AWAY:
            raise error
        if self._on_wait is not None:
            self._on_wait(error, seconds)
        return seconds


def delay(failures: int, retry_after: int | None = None) -> float:
    """Seconds to wait after so many failures in a row: doubling, at random between half and all of it, so that
    a thousand workers do not return at once. What the server asked for counts, up to a minute, and up to a quarter
    more of it."""
    longest = min(FIRST * 2.0 ** min(failures - 1, 16), LONGEST)
    asked = min(retry_after or 0, LONGEST_ASKED)
    return max(longest * random.uniform(0.5, 1), asked * random.uniform(1, 1.25))  # noqa: S311 — no secret
