"""What may happen as often as anybody likes, and is to be told in the log so often at the most."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field

_MINUTE = 60.0


@dataclass(slots=True)
class Seldom:
    """So many of each kind `a_minute`. Kinds are ours, and few."""

    a_minute: int
    clock: Callable[[], float] = time.monotonic
    _since: dict[str, float] = field(default_factory=dict)
    _count: dict[str, int] = field(default_factory=dict)

    def tell(self, kind: str) -> dict[str, int] | None:
        """None where this one is not to be told; else what to say beside it: how many were not, since the last."""
        now = self.clock()
        count = self._count.get(kind, 0)
        if now - self._since.get(kind, float("-inf")) >= _MINUTE:
            self._since[kind], self._count[kind] = now, 1
            return {"unsaid": count - self.a_minute} if count > self.a_minute else {}
        self._count[kind] = count + 1
        return {} if count < self.a_minute else None
