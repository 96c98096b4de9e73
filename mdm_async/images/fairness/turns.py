"""Whose turn it is: work on requests is done in small pieces, and callers take turns at them.

All share one event loop and one Postgres, so what counts is how much is begun at once. One caller alone may have many
pieces begun, and large ones. As soon as others want something too, each has few and small ones, in turn; and who has
had much lately begins nothing while somebody who has had little is being served, but waits for a moment at most.
"""

import asyncio
import time
from collections import OrderedDict, deque
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field

from mdm_async.errors import TooManyRequests
from mdm_async.images.fairness.shares import Shares
from mdm_async.names import Payer

LARGE, SMALL = 64, 8
"""Files in one piece, of a caller alone and among others."""
_FILES_AS_ONE = 8
"""A piece weighs one, and another one for so many files."""
_HEAVIEST = 4
"""What cannot be done in pieces weighs at the most this part of all: others' pieces run beside it."""
_AMONG_OTHERS = 2
"""What one caller's pieces may weigh together, among others."""
_THERE = 1.0
"""Seconds for which a caller counts as being there after he has asked for something."""
_HALF_LIFE = 2.0
"""Seconds in which half of what somebody has had is forgotten."""
_MUCH = 4.0
"""Who has had so many times what another has had gives way to him."""
_LITTLE = 8.0
"""Nobody does who has had less than this."""
_PATIENCE = 0.1
"""Seconds for which he does."""
_BRIEF = 0.25
"""Seconds: to a request that takes longer nobody gives way any more, or one that takes for ever would slow down all."""
_LOOKED_AT = 64
"""When more callers than that are served at once, none gives way: they take turns."""
_KNOWN = 4096
_RETRY_AFTER = 1


@dataclass(eq=False, slots=True)
class _Waiting:
    weight: int
    since: float
    begun: "asyncio.Future[None]"


@dataclass(eq=False, slots=True)
class _Account:
    """A caller. `had`: what his pieces weighed, fading since `at`."""

    name: str
    had: float = 0.0
    at: float = 0.0
    served: int = 0
    """His requests that are being served."""
    came: float = float("-inf")
    """When the last of them came."""
    running: int = 0
    """What his pieces that have begun weigh."""
    waiting: OrderedDict[str, deque[_Waiting]] = field(default_factory=OrderedDict)
    """By worker, in the order of their turns."""

    def had_by(self, now: float) -> float:
        return float(self.had * 0.5 ** ((now - self.at) / _HALF_LIFE))


class Turns:
    """Of one node. `most`: what all pieces that have begun may weigh, one caller's half of it; `queue`: pieces that
    wait, of which one caller may have his share."""

    def __init__(
        self, most: int, queue: int, share: float, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.most, self.running = most, 0
        self.queue = Shares(queue, share)
        self._clock = clock
        self._accounts: OrderedDict[str, _Account] = OrderedDict()
        self._served: dict[str, _Account] = {}
        self._turns: OrderedDict[str, _Account] = OrderedDict()
        """Those with pieces that wait, in the order of their turns."""
        self._seen = ("", float("-inf"))
        """Who asked last, and when."""
        self._seen_before = ("", float("-inf"))
        """And who before, of all others."""
        self._timer: asyncio.TimerHandle | None = None

    @contextmanager
    def serving(self, payer: Payer) -> Iterator[None]:
        """While a request of his is served."""
        account = self._served[payer.account] = self._account(payer)
        account.served += 1
        account.came = self._clock()
        try:
            yield
        finally:
            account.served -= 1
            if not account.served:
                del self._served[payer.account]
            self._begin_next()

    def size(self, payer: Payer) -> int:
        """How many files his next piece may have."""
        return SMALL if self._among_others(payer.account, self._clock()) else LARGE

    @asynccontextmanager
    async def turn(self, payer: Payer, files: int = 0, *, first: bool = True) -> AsyncIterator[None]:
        """One piece of work. Raises TooManyRequests at once when too many wait, and it is the first of its request."""
        weight = min(1 + files // _FILES_AS_ONE, max(1, self.most // _HEAVIEST))
        account = self._account(payer)
        await self._begun(account, payer, weight, first=first)
        try:
            yield
        finally:
            self._end(account, weight)

    async def _begun(self, account: _Account, payer: Payer, weight: int, *, first: bool) -> None:
        if not self._turns and self._may_begin(account, weight, self._clock()):
            self._begin(account, weight)
            return
        counted = self.queue.take(payer)
        if first and not counted:
            raise TooManyRequests("too many of your requests wait already", retry_after=_RETRY_AFTER)
        waiting = _Waiting(weight, self._clock(), asyncio.get_running_loop().create_future())
        account.waiting.setdefault(payer.worker, deque()).append(waiting)
        self._turns.setdefault(account.name, account)
        try:
            self._begin_next()
            await waiting.begun
        except asyncio.CancelledError:
            if waiting.begun.cancelled():
                self._leave(account, payer.worker, waiting)
            else:
                self._end(account, weight)
            raise
        finally:
            if counted:
                self.queue.give(payer)

    def _leave(self, account: _Account, worker: str, waiting: _Waiting) -> None:
        queue = account.waiting.get(worker, deque())
        if waiting in queue:
            queue.remove(waiting)
            self._tidy(account, worker)

    def _tidy(self, account: _Account, worker: str) -> None:
        if not account.waiting[worker]:
            del account.waiting[worker]
        if not account.waiting:
            del self._turns[account.name]

    def _begin(self, account: _Account, weight: int) -> None:
        now = self._clock()
        self.running += weight
        account.running += weight
        account.had, account.at = account.had_by(now) + weight, now

    def _end(self, account: _Account, weight: int) -> None:
        self.running -= weight
        account.running -= weight
        self._begin_next()

    def _begin_next(self) -> None:
        """Whatever may begin, the callers in turn."""
        progress = True
        while progress and self._turns:
            progress = False
            for account in list(self._turns.values()):
                if self._begin_of(account):
                    progress = True
        if self._turns and self._timer is None:
            # Patience ends without anything else happening.
            self._timer = asyncio.get_running_loop().call_later(_PATIENCE / 2, self._on_timer)

    def _begin_of(self, account: _Account) -> bool:
        """The next of a caller's pieces, his workers in turn, if it may."""
        worker, queue = next(iter(account.waiting.items()))
        first = queue[0]
        gone = first.begun.cancelled()
        if not gone and not self._may_begin(account, first.weight, first.since):
            return False
        queue.popleft()
        account.waiting.move_to_end(worker)
        self._turns.move_to_end(account.name)
        self._tidy(account, worker)
        if not gone:
            self._begin(account, first.weight)
            first.begun.set_result(None)
        return True

    def _may_begin(self, account: _Account, weight: int, since: float) -> bool:
        now = self._clock()
        if self.running and self.running + weight > self.most:
            return False
        most = _AMONG_OTHERS if self._among_others(account.name, now) else self.most // 2
        if account.running and account.running + weight > most:
            return False
        return now - since >= _PATIENCE or not self._gives_way(account, now)

    def _gives_way(self, account: _Account, now: float) -> bool:
        had = account.had_by(now)
        if had < _LITTLE or len(self._served) > _LOOKED_AT:
            return False
        little = had / _MUCH
        return any(
            other is not account and now - other.came < _BRIEF and other.had_by(now) < little
            for other in self._served.values()
        )

    def _among_others(self, name: str, now: float) -> bool:
        if len(self._served) > (name in self._served):
            return True
        last, when = self._seen if self._seen[0] != name else self._seen_before
        return last != name and now - when < _THERE

    def _account(self, payer: Payer) -> _Account:
        name, now = payer.account, self._clock()
        if self._seen[0] != name:
            self._seen_before = self._seen
        self._seen = name, now
        account = self._accounts.get(name)
        if account is None:
            if len(self._accounts) >= _KNOWN:
                self._forget_one()
            account = self._accounts[name] = _Account(name, at=now)
        else:
            self._accounts.move_to_end(name)
        return account

    def _forget_one(self) -> None:
        for name, one in self._accounts.items():
            if not (one.served or one.running or one.waiting):
                del self._accounts[name]
                return

    def _on_timer(self) -> None:
        self._timer = None
        self._begin_next()
