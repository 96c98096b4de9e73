"""What accounts owe for what they said of patients, until they have rested. None is forgotten for another's sake."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Final

from mdm_async.images.fairness.shares import Shares
from mdm_async.names import Payer

_SHARE: Final = 0.5
_LOOKED: Final = 10.0
"""Seconds between two looks at all debts for those that have rested; a look takes some milliseconds per 10,000."""
_OLDEST: Final = 100
_NOTHING: Final = 1e-6
"""Seconds that adding up may be wrong by."""

_Debts = dict[str, list[float]]
"""By patient: when each kind will have rested enough for all of its burst at once again."""


@dataclass(slots=True)
class Debts:
    """`bursts`: how much of each kind is let at once, and again within `seconds`, bit by bit, of each patient.

    `most` debts are kept, of which an account may have a share; whoever has it may say nothing of further patients
    until one of his has rested, and makes nothing forgotten.
    """

    bursts: Sequence[int]
    seconds: float
    most: int
    clock: Callable[[], float]
    shares: Shares = field(init=False)
    _accounts: dict[str, _Debts] = field(default_factory=dict)
    _looked: float | None = None

    def __post_init__(self) -> None:
        self.shares = Shares(self.most, _SHARE)

    def wait(self, account: str, patient: str, counts: Sequence[int]) -> float:
        """Seconds until so much of each kind (at most its burst) may be said; 0: it may now."""
        now = self.clock()
        debts = self._accounts.get(account, {}).get(patient)
        if debts is None:
            return 0.0 if not any(counts) or self._has_room(account, now) else self._first(account, now)
        waits = [
            max(full - now, 0.0) - (burst - count) * self.seconds / burst
            for full, burst, count in zip(debts, self.bursts, counts, strict=True)
        ]
        longest = max(waits)
        return longest if longest > _NOTHING else 0.0

    def count(self, account: str, patient: str, counts: Sequence[int]) -> None:
        """So much was said. Where there is no room for another debt, nothing is owed: ask `wait` before."""
        now = self.clock()
        debts = self._accounts.get(account, {}).get(patient)
        if debts is None:
            if not self.shares.take(_payer(account)):
                return
            debts = self._accounts.setdefault(account, {}).setdefault(patient, [now] * len(self.bursts))
        for kind, (burst, count) in enumerate(zip(self.bursts, counts, strict=True)):
            debts[kind] = max(debts[kind], now) + count * self.seconds / burst

    def _has_room(self, account: str, now: float) -> bool:
        if self.shares.may_take(_payer(account)):
            return True
        if self._looked is None or now - self._looked >= _LOOKED:
            self._looked = now
            for one in list(self._accounts):
                self._forget_rested(one, now)
        return self.shares.may_take(_payer(account))

    def _forget_rested(self, account: str, now: float) -> None:
        debts = self._accounts[account]
        owed = {patient: fulls for patient, fulls in debts.items() if max(fulls) > now}
        self.shares.give(_payer(account), len(debts) - len(owed))
        if owed:
            self._accounts[account] = owed
        else:
            del self._accounts[account]

    def _first(self, account: str, now: float) -> float:
        """Seconds until one of the account's debts has rested, of those that are the oldest, and is looked at."""
        rested = min(map(max, islice(self._all(account), _OLDEST)), default=now)
        return max(rested - now, _LOOKED)

    def _all(self, account: str) -> Iterator[list[float]]:
        yield from self._accounts.get(account, {}).values()


def _payer(account: str) -> Payer:
    return Payer(account, "")
