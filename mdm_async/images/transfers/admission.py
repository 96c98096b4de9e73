"""The transfers that run on this node, in and out: how many, whose, and how each is cut."""

import asyncio
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from mdm_async.catalog.grants.grants import Grant
from mdm_async.errors import TooManyRequests
from mdm_async.images.fairness.shares import Shares
from mdm_async.images.metrics import TRANSFERS_OUT
from mdm_async.images.reading.representation import Ending
from mdm_async.images.transfers.feed_reader import NEVER, Judged
from mdm_async.images.transfers.live_index import Way
from mdm_async.limits import Near
from mdm_async.names import Payer

_RETRY_AFTER = 2


@dataclass(eq=False, slots=True, repr=False)
class Receiving:
    """An upload in progress."""

    grant: Grant
    way: Way = ()
    judged: Judged = NEVER
    touched: int = 0
    cuts: list[Callable[[], None]] = field(default_factory=list)

    def cut(self) -> None:
        for cut in self.cuts:
            cut()


class Admission:
    """Lets transfers run: `most` at once, in both directions together; of one caller, his `share` (see `Shares`)."""

    def __init__(self, most: int, share: float) -> None:
        self._slots = Shares(most, share)
        self._receiving: dict[bytes, Receiving] = {}
        self._ended = asyncio.Event()
        """Set whenever a transfer ends."""
        self.running = 0
        """Downloads."""

    @property
    def receiving(self) -> dict[bytes, Receiving]:
        """The uploads in progress, by transfer URL."""
        return dict(self._receiving)

    def near(self) -> Iterable[Near]:
        return [Near("transfers.running", self._slots.used, self._slots.most)]

    def may_run(self, payer: Payer) -> bool:
        """Whether another transfer of theirs would not be refused."""
        return self._slots.may_take(payer)

    def demand_slot(self, payer: Payer) -> None:
        """Raises TooManyRequests where another transfer of theirs would be refused."""
        if not self.may_run(payer):
            raise TooManyRequests(
                "as many transfers run as this server may run for you", retry_after=_RETRY_AFTER
            )

    @contextmanager
    def sending(self, payer: Payer, ending: Ending, cut: Callable[[], None]) -> Iterator[None]:
        """While a download runs; `cut` ends its connection. Raises TooManyRequests at once when too many do."""
        with self._slot(payer), ending.cutting(cut):
            self.running += 1
            TRANSFERS_OUT.inc()
            try:
                yield
            finally:
                self.running -= 1
                TRANSFERS_OUT.dec()

    @contextmanager
    def taking(self, payer: Payer, grant: Grant, cut: Callable[[], None]) -> Iterator[None]:
        """While an upload runs; `cut` ends its connection, when it is aborted or its token revoked.

        Raises TooManyRequests at once when too many run.
        """
        with self._slot(payer):
            receiving = self._receiving.setdefault(grant.turl, Receiving(grant))
            receiving.cuts.append(cut)
            try:
                yield
            finally:
                receiving.cuts.remove(cut)
                if not receiving.cuts:
                    self._receiving.pop(grant.turl, None)

    @contextmanager
    def _slot(self, payer: Payer) -> Iterator[None]:
        self.demand_slot(payer)
        self._slots.take(payer)
        try:
            yield
        finally:
            self._slots.give(payer)
            self._ended.set()

    async def idle(self) -> None:
        """Wait until no transfer runs."""
        while self.running or self._receiving:
            self._ended.clear()
            await self._ended.wait()
