"""Connections that have not associated yet: how many there may be, whose, and who gives way."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from mdm_async.names import network

SPARE: Final = 64
"""Connections that may be open beside the associations, to hear who calls and be told why they may not."""
_STRANGERS: Final = SPARE // 4
"""Those of all addresses that no device calls from, together."""
_SOON: Final = 1.0
"""Seconds in which a device has said who it is; until then it gives way to nobody."""


@dataclass(eq=False, slots=True)
class Newcomer:
    """`cut` ends the connection, and with it the place."""

    source: str
    since: float
    cut: Callable[[], object] = lambda: None


@dataclass(slots=True)
class Newcomers:
    """At most `SPARE`. A source that is `expected` may have half of what others leave, strangers a quarter."""

    expected: Callable[[str], bool]
    clock: Callable[[], float] = time.monotonic
    _all: dict[Newcomer, None] = field(default_factory=dict, init=False)
    """The oldest first."""

    def __len__(self) -> int:
        return len(self._all)

    def admit(self, address: str) -> Newcomer | None:
        """None when it has to be turned away. The oldest of its source, or of all, gives way if it waits for long."""
        source = network(address) if self.expected(address) else ""
        own = [one for one in self._all if one.source == source]
        left = SPARE - (len(self._all) - len(own))
        if len(self._all) >= SPARE or len(own) >= (max(left // 2, 1) if source else _STRANGERS):
            oldest = next(iter(own), None) or (next(iter(self._all), None) if source else None)
            if oldest is None or self.clock() - oldest.since < _SOON:
                return None
            self.leave(oldest)
            oldest.cut()
        newcomer = Newcomer(source, self.clock())
        self._all[newcomer] = None
        return newcomer

    def leave(self, newcomer: Newcomer) -> None:
        """It has associated, or has gone. Once more does nothing."""
        self._all.pop(newcomer, None)
