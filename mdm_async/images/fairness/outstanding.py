"""Files that callers have asked for and not released: each is a row, and may be a transfer URL."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from heapq import heapify, heappop, heappush
from uuid import UUID

from mdm_async.errors import TooManyRequests
from mdm_async.images.fairness.shares import Shares
from mdm_async.names import Payer

_RETRY_AFTER = 30
_SPARE = 1000


@dataclass(slots=True)
class _Request:
    payer: Payer
    count: int
    ends: float


@dataclass(slots=True)
class Outstanding:
    """Of one node, since it started. It counts a file until it is released, aborted or put, or its pin ends."""

    shares: Shares
    clock: Callable[[], float] = time.monotonic
    _requests: dict[UUID, _Request] = field(default_factory=dict)
    _ends: list[tuple[float, UUID]] = field(default_factory=list)

    @property
    def used(self) -> int:
        self._forget_ended()
        return self.shares.used

    def demand(self, payer: Payer, count: int) -> None:
        """Raises TooManyRequests at once when so many more would be too many."""
        self._forget_ended()
        if not self.shares.may_take(payer, count):
            raise TooManyRequests(
                "too many of the files that you asked for are neither released nor put",
                remedy="release those that are no longer needed",
                retry_after=_RETRY_AFTER,
            )

    def begin(self, request: UUID, payer: Payer, count: int, life: float) -> None:
        """So many files of a request are outstanding, for `life` seconds at most. Raises as `demand`."""
        self.demand(payer, count)
        self.shares.take(payer, count)
        ends = self.clock() + life
        self._requests[request] = _Request(payer, count, ends)
        heappush(self._ends, (ends, request))
        if len(self._ends) > 2 * len(self._requests) + _SPARE:
            # Most were released long before their pins would have ended.
            self._ends = [(known.ends, each) for each, known in self._requests.items()]
            heapify(self._ends)

    def end(self, request: UUID, count: int) -> None:
        """So many of its files are no longer."""
        known = self._requests.get(request)
        if known is None:
            return
        count = min(count, known.count)
        known.count -= count
        self.shares.give(known.payer, count)
        if not known.count:
            del self._requests[request]

    def extend(self, request: UUID, life: float) -> None:
        known = self._requests.get(request)
        if known is not None:
            known.ends = max(known.ends, self.clock() + life)

    def _forget_ended(self) -> None:
        now = self.clock()
        while self._ends and self._ends[0][0] <= now:
            _, request = heappop(self._ends)
            known = self._requests.get(request)
            if known is None:
                continue
            if known.ends > now:
                heappush(self._ends, (known.ends, request))
            else:
                self.end(request, known.count)
