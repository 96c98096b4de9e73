"""What this node itself has just changed, so that its warm transfer URLs need not wait for the next look."""

import time
from collections.abc import Iterable
from itertools import takewhile

_KEPT = 2.0
"""Seconds; longer than any look at the catalog is trusted."""
_MOST = 10_000
"""Transfer URLs that are known one by one."""


class ChangedHere:
    """Facts about transfer URLs learnt before these moments count no more."""

    def __init__(self) -> None:
        self.since = float("-inf")
        """What is read of the change feed must be newer than this moment."""
        self._turls: dict[bytes, float] = {}

    def turls(self, turls: Iterable[bytes]) -> None:
        """These were released, aborted or extended, by a transaction that has been committed."""
        now = time.monotonic()
        # In order of time: the old ones come first.
        for turl in list(takewhile(lambda one: now - self._turls[one] >= _KEPT, self._turls)):
            del self._turls[turl]
        for turl in turls:
            if len(self._turls) >= _MOST:
                self.everything()  # the feed tells of all of them
                return
            self._turls[turl] = now

    def everything(self) -> None:
        """Something was changed that any number of transfer URLs may hang on: the change feed says which."""
        self.since = time.monotonic()

    def outdates(self, turl: bytes, checked: float) -> bool:
        """Whether what was learnt of a transfer URL at this moment is to be asked again."""
        return checked <= self._turls.get(turl, float("-inf"))
