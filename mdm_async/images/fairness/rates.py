"""How often each of many may do something: so often a second, and more at once after a rest."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field

_KNOWN = 65_536
"""Keys that are told apart; when more come, an eighth of them is forgotten."""

_NOTHING = 1e-6
"""Seconds that adding up may be wrong by."""


@dataclass(slots=True)
class Rates:
    """`rate` a second (0: as many as they like); whoever has rested, `burst` at once."""

    rate: float
    burst: float
    clock: Callable[[], float] = time.monotonic
    _full: dict[str, float] = field(default_factory=dict)
    """By key: when it will have rested enough to do `burst` at once again."""

    def wait(self, key: str, count: int = 1) -> float:
        """Seconds until the next `count` are let; 0: they are now. More than `burst` are let after a whole rest."""
        if not self.rate:
            return 0.0
        now = self.clock()
        owed = max(self._full.get(key, now) - now, 0.0)
        wait = owed - max(self.burst - count, 0.0) / self.rate
        return wait if wait > _NOTHING else 0.0

    def count(self, key: str, count: int = 1) -> None:
        """It was done so often."""
        if not self.rate:
            return
        now = self.clock()
        self._full[key] = max(self._full.get(key, now), now) + count / self.rate
        if len(self._full) > _KNOWN:
            self._make_room()

    def _make_room(self) -> None:
        """Whoever has rested goes first, then who owes least: many small debts make nobody's large one forgotten."""
        least = sorted(self._full, key=self._full.__getitem__)
        for key in least[: max(1, _KNOWN // 8)]:
            del self._full[key]

    def most(self) -> float:
        """How much of its burst the busiest has used."""
        now = self.clock()
        owed = max((full - now for full in self._full.values()), default=0.0)
        return min(max(owed, 0.0) * self.rate, self.burst)
