"""Where callers ask for files: how many each may ask for, how fast, and whose turn it is."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from math import ceil
from typing import Self
from uuid import UUID

from mdm_async.errors import TooManyRequests
from mdm_async.images.fairness.outstanding import Outstanding
from mdm_async.images.fairness.rates import Rates
from mdm_async.images.fairness.shares import Shares
from mdm_async.images.fairness.strangers import Strangers
from mdm_async.images.fairness.turns import Turns
from mdm_async.limits import Near
from mdm_async.names import ANYONE, Payer
from mdm_async.settings import LimitSettings

_FILES_SECONDS, _STRANGERS_SECONDS = 10, 20
"""For so long who has rested may do what he may do in a second, at once."""


@dataclass(frozen=True, slots=True)
class Desk:
    """Of one node. `rates`: files a second of each caller; `strangers`: what those without a credential may ask."""

    turns: Turns
    rates: Rates
    strangers: Strangers
    known: Outstanding
    anonymous: Outstanding
    """Each source by itself, apart from all who say who they are."""

    @classmethod
    def of(cls, limits: LimitSettings) -> Self:
        share = limits.share
        return cls(
            Turns(limits.pieces, limits.waiting, share),
            Rates(limits.files_rate, _FILES_SECONDS * limits.files_rate),
            Strangers(Rates(limits.anonymous_rate, _STRANGERS_SECONDS * limits.anonymous_rate)),
            Outstanding(Shares(limits.outstanding, share)),
            Outstanding(Shares(limits.anonymous_outstanding, share)),
        )

    def near(self) -> Iterable[Near]:
        return [
            Near("limits.pieces", self.turns.running, self.turns.most),
            Near("limits.waiting", self.turns.queue.used, self.turns.queue.most),
            Near("limits.files_rate", int(self.rates.most()), int(self.rates.burst)),
            Near("limits.anonymous_rate", int(self.strangers.rates.most()), int(self.strangers.rates.burst)),
            Near("limits.outstanding", self.known.used, self.known.shares.most),
            Near("limits.anonymous_outstanding", self.anonymous.used, self.anonymous.shares.most),
        ]

    @contextmanager
    def asking(self, request: UUID, payer: Payer, files: int, life: float) -> Iterator[None]:
        """While a request for so many files is looked into. They are outstanding for `life` seconds; none of them is
        when this fails. Raises TooManyRequests at once, before anything is done.
        """
        outstanding, counted = self._outstanding(payer)
        outstanding.demand(counted, files)
        if payer.account == ANYONE:
            self.strangers.ask(payer.worker, files)
        else:
            if wait := self.rates.wait(payer.account, files):
                raise TooManyRequests("files are asked for too fast", retry_after=ceil(wait))
            self.rates.count(payer.account, files)
        outstanding.begin(request, counted, files, life)
        try:
            yield
        except BaseException:
            outstanding.end(request, files)
            raise

    def end(self, request: UUID, files: int) -> None:
        """So many of a request's files are outstanding no more."""
        self.known.end(request, files)
        self.anonymous.end(request, files)

    def extend(self, request: UUID, life: float) -> None:
        self.known.extend(request, life)
        self.anonymous.extend(request, life)

    def _outstanding(self, payer: Payer) -> tuple[Outstanding, Payer]:
        if payer.account == ANYONE:
            return self.anonymous, Payer(payer.worker, "")
        return self.known, payer
