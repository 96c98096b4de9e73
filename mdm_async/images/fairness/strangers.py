"""Requests of those who show no valid credential: each source may make so many a second.

Sources are shared: behind one address there may be a whole site. Who has shown a credential there that was valid is let
in by it whatever others do there. One that was never seen may be valid, so what shows none, or again one that was
refused, does not use up what those may: a worker that repeats a token that has ended locks out none whose is new.
"""

import hashlib
from collections import OrderedDict
from collections.abc import Iterable
from dataclasses import dataclass, field
from math import ceil

from mdm_async.errors import TooManyRequests
from mdm_async.images.fairness.rates import Rates
from mdm_async.names import ANYONE, Payer

_KNOWN = 65_536


@dataclass(slots=True)
class Strangers:
    """Of one node."""

    rates: Rates
    _known: OrderedDict[bytes, None] = field(default_factory=OrderedDict)
    """Credentials that were valid lately, by hash."""
    _refused: OrderedDict[bytes, None] = field(default_factory=OrderedDict)
    """And those that were not."""
    _unseen: Rates = field(init=False)
    """Of credentials that were neither: as many again."""

    def __post_init__(self) -> None:
        self._unseen = Rates(self.rates.rate, self.rates.burst, self.rates.clock)

    def demand(self, source: str, credential: str) -> None:
        """Before a credential (empty: none) is looked up. Raises TooManyRequests at once."""
        key = _key(source)
        wait, unseen = self.rates.wait(key), self._unseen.wait(key)
        if not (wait or unseen):
            return
        digest = _digest(credential)
        if credential and digest in self._known:
            return
        if credential and digest not in self._refused:
            wait = unseen
        if wait:
            raise TooManyRequests(
                "too many requests without a valid credential came from your address", retry_after=ceil(wait)
            )

    def count(self, source: str, credential: str = "") -> None:
        """One came that showed no valid credential, or this one, which is not."""
        digest = _digest(credential)
        if not credential or digest in self._refused:
            self.rates.count(_key(source))
            return
        self._unseen.count(_key(source))
        self._refused[digest] = None
        if len(self._refused) > _KNOWN:
            self._refused.popitem(last=False)

    def ask(self, worker: str, files: int) -> None:
        """So many files are asked for, or about, by one of `Payer.worker`. Raises TooManyRequests at once."""
        # The request has been counted: beside it, no more than a whole rest can give.
        if wait := self.rates.wait(worker, min(files, int(self.rates.burst) - 1)):
            raise TooManyRequests(
                "files are asked for too fast without a credential from your address", retry_after=ceil(wait)
            )
        self.rates.count(worker, files)

    def know(self, credential: str) -> None:
        """This one was valid."""
        self.expect([_digest(credential)])

    def knows(self, digest: bytes) -> bool:
        """Whether the credential with this SHA-256 was valid lately, so that `demand` refuses nobody who shows it."""
        if digest not in self._known:
            return False
        self._known.move_to_end(digest)
        return True

    def expect(self, digests: Iterable[bytes]) -> None:
        """Credentials (transfer URLs' tokens among them) with these SHA-256 are valid."""
        for digest in digests:
            self._known[digest] = None
            self._refused.pop(digest, None)
            self._known.move_to_end(digest)
        while len(self._known) > _KNOWN:
            self._known.popitem(last=False)


def _key(source: str) -> str:
    return Payer.of(ANYONE, ANYONE, source).worker


def _digest(credential: str) -> bytes:
    return hashlib.sha256(credential.encode(errors="surrogateescape")).digest()
