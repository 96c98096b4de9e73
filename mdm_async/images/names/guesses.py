"""How much each account has said of a patient: what is compared with identifiers may hold guesses at them, and whether
it was refused tells something of each.

What an account has said of a patient lately is known, and free: workers set the same words on every slice. What is new
counts, by kind, whichever name or text says it. Neither texts nor identifiers are kept, only hashes of their pieces.
"""

import time
from collections import OrderedDict
from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from math import inf
from typing import Final

from mdm_async.dicom.said import Said
from mdm_async.images.fairness.shares import Shares
from mdm_async.images.names.debts import Debts
from mdm_async.names import Payer

DATES: Final = 500
"""What could be birth dates. Five thousand random UIDs hold two hundred by accident; times of day after seven, which
read like years, twice as many."""
LETTERS: Final = 24_000
"""In words of letters: some four to five thousand names."""
CHARACTERS: Final = 400_000
"""In all: the UIDs, UUIDs or SHA-256 of five thousand slices."""
_BURSTS: Final = (DATES, LETTERS, CHARACTERS)
SECONDS: Final = 24 * 3600
"""A day, in which as much is let again, bit by bit; and what was not said for so long is forgotten, sooner or later."""
PER_HIT: Final = 10
"""Each name or text that tells who the patient is takes this part of what may be said."""
_SHARE: Final = 0.5
_MOST_KNOWN: Final = 1 << 18
"""Pieces of all accounts that are remembered; some 100 bytes each."""
_MOST_OWED: Final = 1 << 18
"""Patients, for each account anew, of whom so much was said lately that it must be remembered; 250 bytes each. One
account alone may have a quarter."""

_MOST_HITS: Final = 1 << 16
"""Of which it is remembered that they were told: a worker who is called as a patient asks for task after task."""

Pieces = set[int]


@dataclass(frozen=True, slots=True)
class Let:
    """`wait`: seconds until it is let (0: it is, and has been counted; infinite: it is too much at once)."""

    wait: float
    new: Pieces = field(default_factory=set)
    """What had not been said before."""


@dataclass(eq=False, slots=True)
class _Account:
    """Pieces by patient: of those of whom something was said since it `began`, and of those of whom it was before."""

    began: float
    young: dict[str, Pieces] = field(default_factory=dict)
    old: dict[str, Pieces] = field(default_factory=dict)


class Guesses:
    """Of one node. Only the event loop may ask."""

    def __init__(
        self,
        *,
        limited: bool = True,
        most_known: int = _MOST_KNOWN,
        most_owed: int = _MOST_OWED,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.limited, self._clock = limited, clock
        self.debts = Debts(_BURSTS, SECONDS, most_owed, clock)
        self.shares = Shares(most_known, _SHARE)
        self._hits: dict[tuple[str, str, int], float] = {}
        self._accounts: OrderedDict[str, _Account] = OrderedDict()
        """Who has said nothing for the longest first."""

    def let(self, account: str, patient: str, all_: Collection[Said], kept: Collection[Said] = ()) -> Let:
        """Whether the account may have these compared with a patient now; if so, what is new in them is counted.

        `kept`: what names had in them before, which costs neither letters nor characters. What could be a date counts
        in any case. Some milliseconds for 10,000 words; no more is looked at once it is too much.
        """
        if not self.limited:
            return Let(0.0)
        known, new = self._known(account, patient), set[int]()
        stays = set().union(*(one.characters.keys() | one.letters.keys() for one in kept))
        counts = [0, 0, 0]
        for one in all_:
            dates = one.dates - known - new
            counts[0] += len(dates)
            new |= dates
            for kind, weights in ((1, one.letters), (2, one.characters)):
                fresh = [
                    each for each in weights if each not in known and each not in new and each not in stays
                ]
                counts[kind] += sum(map(weights.__getitem__, fresh))
                new.update(fresh)
            if any(count > burst for burst, count in zip(_BURSTS, counts, strict=True)):
                return Let(inf)
        if not new:
            return Let(0.0)
        if wait := self.debts.wait(account, patient, counts):
            return Let(wait)
        self.debts.count(account, patient, counts)
        self._remember(account, patient, new)
        return Let(0.0, new)

    def hit(self, account: str, patient: str, text: str, new: Pieces) -> bool:
        """One of those told who the patient is; whether that had not been told within a day. What was `new` in them is
        new again: which part of it was it?"""
        if not self.limited:
            return True
        if (known := self._accounts.get(account)) is not None:
            pieces = known.young.get(patient, set())
            before = len(pieces)
            pieces.difference_update(new)
            self.shares.give(_payer(account), before - len(pieces))
        key, now = (account, patient, hash(text)), self._clock()
        if now - self._hits.get(key, -inf) < SECONDS:
            return False
        self._hits[key] = now
        if len(self._hits) > _MOST_HITS:
            del self._hits[next(iter(self._hits))]
        self.debts.count(account, patient, [burst // PER_HIT for burst in _BURSTS])
        return True

    def wait(self, account: str, patient: str) -> float:
        """Seconds until anything new may be said; 0: now."""
        return self.debts.wait(account, patient, [0] * len(_BURSTS)) if self.limited else 0.0

    def _known(self, account: str, patient: str) -> Pieces:
        """What is said again is remembered for longer."""
        self._forget()
        found = self._accounts.get(account)
        if found is None:
            return set()
        self._accounts.move_to_end(account)
        if self._clock() - found.began > SECONDS:
            self._turn(account, found)
        if patient in found.old:
            found.young[patient] = found.old.pop(patient)
        return found.young.get(patient, set())

    def _remember(self, account: str, patient: str, new: Pieces) -> None:
        """Whose share is full forgets what he has said himself; what others have said stays."""
        found = self._accounts.setdefault(account, _Account(self._clock()))
        for _ in range(2):
            if self.shares.may_take(_payer(account), len(new)):
                break
            self._turn(account, found)
        if self.shares.take(_payer(account), len(new)):
            found.young.setdefault(patient, set()).update(new)

    def _turn(self, account: str, found: _Account) -> None:
        """Forget what is old; what is young is old from now on."""
        self.shares.give(_payer(account), sum(map(len, found.old.values())))
        found.old, found.young, found.began = found.young, {}, self._clock()

    def _forget(self) -> None:
        """Those who have said nothing for long."""
        now = self._clock()
        while self._accounts:
            account, found = next(iter(self._accounts.items()))
            if now - found.began <= 2 * SECONDS:
                return
            self._turn(account, found)
            self._turn(account, found)
            del self._accounts[account]


def _payer(account: str) -> Payer:
    return Payer(account, "")
