"""Memory that requests hold: one budget for bodies that wait to be whole, heads that wait to be scrubbed, and
pieces of views that wait for their readers."""

import asyncio
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Final

from mdm_async.errors import TooLarge, TooManyRequests
from mdm_async.images.fairness.shares import Shares
from mdm_async.limits import Near
from mdm_async.names import Payer

_RETRY_AFTER = 2
PATIENCE: Final = 30.0
"""Seconds for which an answer that has begun waits for memory."""


@dataclass(slots=True)
class Held:
    """Bytes that one request holds."""

    payer: Payer
    _budget: "Budget"
    size: int = 0

    def grow_to(self, size: int) -> None:
        """It holds so many bytes now, if that is more. Raises TooManyRequests at once when that is too much."""
        more = size - self.size
        if more <= 0:
            return
        if not self._budget.shares.take(self.payer, more):
            raise TooManyRequests(
                "this server has no memory left for another request of yours", retry_after=_RETRY_AFTER
            )
        self.size = size

    async def hold(self, size: int, *, begun: bool) -> None:
        """As `grow_to`; for an answer that has begun, and has nothing in memory now: it waits for room, and holds
        nothing meanwhile that another might wait for. Raises TooManyRequests after PATIENCE seconds."""
        if begun and self.size < size:
            with suppress(TimeoutError):
                async with asyncio.timeout(PATIENCE):
                    while not self._budget.shares.may_take(self.payer, size - self.size):
                        self.shrink_to(0)
                        await self._budget.given_back()
        self.grow_to(size)

    def shrink_to(self, size: int) -> None:
        """It holds no more than so many bytes from now on."""
        if size < self.size:
            self._budget.give(self.payer, self.size - size)
            self.size = size


@dataclass(slots=True)
class Budget:
    """Of one node; bytes. Not for threads: only the event loop may ask."""

    most: int
    share: float
    """As in `Shares`."""
    shares: Shares = field(init=False)
    _waiting: list[asyncio.Future[None]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.shares = Shares(self.most, self.share)

    def near(self) -> Iterable[Near]:
        return [Near("limits.held", self.shares.used, self.most)]

    def demand_possible(self, owner: Payer, size: int) -> None:
        """Raises TooLarge for more than a request of theirs could hold if there were no other."""
        if not Shares(self.most, self.share).may_take(owner, size):
            raise TooLarge("this takes more memory than this server has for one request")

    def may_hold(self, owner: Payer, size: int) -> bool:
        """Whether a request of theirs may hold so many bytes now."""
        return self.shares.may_take(owner, size)

    @contextmanager
    def holding(self, owner: Payer, size: int = 0) -> Iterator[Held]:
        """While a request holds so many bytes, or more as it grows. Raises TooManyRequests at once."""
        held = Held(owner, self)
        try:
            held.grow_to(size)
            yield held
        finally:
            self.give(owner, held.size)

    def give(self, owner: Payer, size: int) -> None:
        """So many are held no more; who waits tries again, in order."""
        if size:
            self.shares.give(owner, size)
            waiting, self._waiting = self._waiting, []
            for one in waiting:
                if not one.done():
                    one.set_result(None)

    async def given_back(self) -> None:
        """Wait until somebody has given something back."""
        future = asyncio.get_running_loop().create_future()
        self._waiting.append(future)
        await future
