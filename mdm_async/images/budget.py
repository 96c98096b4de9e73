"""Memory that requests hold: one budget for bodies that wait to be whole, heads that wait to be scrubbed, and
pieces of views that wait for their readers."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from mdm_async.errors import TooLarge, TooManyRequests
from mdm_async.images.fairness.shares import Shares
from mdm_async.limits import Near
from mdm_async.names import Payer

_RETRY_AFTER = 2


@dataclass(slots=True)
class Held:
    """Bytes that one request holds."""

    payer: Payer
    _shares: Shares
    size: int = 0

    def grow_to(self, size: int) -> None:
        """It holds so many bytes now, if that is more. Raises TooManyRequests at once when that is too much."""
        more = size - self.size
        if more <= 0:
            return
        if not self._shares.take(self.payer, more):
            raise TooManyRequests(
                "this server has no memory left for another request of yours", retry_after=_RETRY_AFTER
            )
        self.size = size

    def shrink_to(self, size: int) -> None:
        """It holds no more than so many bytes from now on."""
        if size < self.size:
            self._shares.give(self.payer, self.size - size)
            self.size = size


@dataclass(slots=True)
class Budget:
    """Of one node; bytes. Not for threads: only the event loop may ask."""

    most: int
    share: float
    """As in `Shares`."""
    _shares: Shares = field(init=False)

    def __post_init__(self) -> None:
        self._shares = Shares(self.most, self.share)

    def near(self) -> Iterable[Near]:
        return [Near("limits.held", self._shares.used, self.most)]

    def demand_possible(self, owner: Payer, size: int) -> None:
        """Raises TooLarge for more than a request of theirs could hold if there were no other."""
        if not Shares(self.most, self.share).may_take(owner, size):
            raise TooLarge("this takes more memory than this server has for one request")

    @contextmanager
    def holding(self, owner: Payer, size: int = 0) -> Iterator[Held]:
        """While a request holds so many bytes, or more as it grows. Raises TooManyRequests at once."""
        held = Held(owner, self._shares)
        try:
            held.grow_to(size)
            yield held
        finally:
            self._shares.give(owner, held.size)
