"""How much of something bounded each caller may hold: a share of what the others leave.

One caller alone may hold half of all (at a share of one half), each of two a third, each of three a quarter. So there
is always some left for whoever comes next, and nothing lies idle for somebody who may never come. Within what one
caller may hold, his workers stand to each other as callers do.
"""

from collections import Counter
from dataclasses import dataclass, field

from mdm_async.names import Payer


@dataclass(slots=True)
class Shares:
    """`most` in all; of what others leave of it, one may have `share` (0 < share ≤ 1), or at least one."""

    most: int
    share: float
    used: int = 0
    _accounts: Counter[str] = field(default_factory=Counter)
    _workers: Counter[Payer] = field(default_factory=Counter)

    def take(self, payer: Payer, count: int = 1) -> bool:
        """Whether so many more are held from now on; if not, nothing has changed."""
        if not self.may_take(payer, count):
            return False
        self.used += count
        self._accounts[payer.account] += count
        self._workers[payer] += count
        return True

    def may_take(self, payer: Payer, count: int = 1) -> bool:
        account, worker = self._accounts[payer.account], self._workers[payer]
        for_account = self._part(self.most - (self.used - account))
        for_worker = self._part(for_account - (account - worker))
        return account + count <= for_account and worker + count <= for_worker

    def give(self, payer: Payer, count: int = 1) -> None:
        """So many are held no more."""
        self.used -= count
        self._accounts[payer.account] -= count
        self._workers[payer] -= count
        if not self._accounts[payer.account]:
            del self._accounts[payer.account]
        if not self._workers[payer]:
            del self._workers[payer]

    def _part(self, left: int) -> int:
        return min(left, max(1, int(left * self.share)))
