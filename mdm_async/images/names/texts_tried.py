"""How much text each caller has compared with a patient's identifiers: one text may hold a hundred guesses."""

from collections import OrderedDict
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final

from mdm_async.images.fairness.rates import Rates

TEXT_TRIED: Final = 65_536
"""Characters of text in an hour that one caller has compared with one patient's identifiers."""

_SECONDS: Final = 3600
_KNOWN: Final = 65_536
"""Texts of all callers that are remembered; of those that come beyond, the one compared longest ago is forgotten."""


@dataclass(slots=True)
class TextsTried:
    """A text that was compared within the hour counts once for as long as it is remembered. Comparing some of those
    again tells which of them it was that matched, and no more than if each had been compared alone.

    Neither texts nor identifiers are kept: only Python's hashes of them, which no other process can tell.
    """

    rates: Rates
    """Of characters, by caller and patient."""
    _known: OrderedDict[int, float] = field(default_factory=OrderedDict)
    """By hash of caller, patient and text: when it was compared, the longest ago first."""

    def let(self, account: str, identifiers: frozenset[str], texts: Iterable[str]) -> bool:
        """Whether the caller may have these compared now; if so, they are counted."""
        if not self.rates.rate:
            return True
        now = self.rates.clock()
        self._forget_before(now - _SECONDS)
        patient = hash(identifiers)
        hashed = {hash((account, patient, text)): text for text in texts}
        new = sum(len(text) for one, text in hashed.items() if one not in self._known)
        if new:
            key = f"{account} {patient}"
            # More than an hour's at once is never let: of so many guesses those that match are soon found.
            if new > self.rates.burst or self.rates.wait(key, new):
                return False
            self.rates.count(key, new)
        for one in hashed:
            self._known[one] = now
            self._known.move_to_end(one)
        while len(self._known) > _KNOWN:
            self._known.popitem(last=False)
        return True

    def _forget_before(self, then: float) -> None:
        while self._known and next(iter(self._known.values())) < then:
            self._known.popitem(last=False)
