"""Requests of those who show no valid credential: each source may make so many a second.

Sources are shared: behind one address there may be a whole site. Who has shown a credential there that was valid is let
in by it whatever others do there.
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

    def demand(self, source: str, credential: str) -> None:
        """Before a credential (empty: none) is looked up. Raises TooManyRequests at once."""
        wait = self.rates.wait(_key(source))
        if wait and not (credential and _digest(credential) in self._known):
            raise TooManyRequests(
                "too many requests without a valid credential came from your address", retry_after=ceil(wait)
            )

    def count(self, source: str) -> None:
        """One came that showed no valid credential."""
        self.rates.count(_key(source))

    def know(self, credential: str) -> None:
        """This one was valid."""
        self.expect([_digest(credential)])

    def expect(self, digests: Iterable[bytes]) -> None:
        """Credentials (transfer URLs' tokens among them) with these SHA-256 are valid."""
        for digest in digests:
            self._known[digest] = None
            self._known.move_to_end(digest)
        while len(self._known) > _KNOWN:
            self._known.popitem(last=False)


def _key(source: str) -> str:
    return Payer.of(ANYONE, ANYONE, source).worker


def _digest(credential: str) -> bytes:
    return hashlib.sha256(credential.encode(errors="surrogateescape")).digest()
