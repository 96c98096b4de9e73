"""What one of several processes that are a server together is given by the one that started it."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import orjson

from mdm_async.line import Line
from mdm_async.web.http.doors import Doors
from mdm_async.web.http.local_site import LocalDoor

READY: Final = b"ready"
OWN_METRICS: Final = b"own metrics"
METRICS: Final = b"metrics"
"""What is asked over the line: a process says that it serves, is asked for its metrics, and asks for the others'."""

_TOLD_WITHIN: Final = 4.0
"""Seconds for the metrics of the others, without which a process tells its own. More than each of them has."""


@dataclass(frozen=True, slots=True)
class Seat:
    """`number`: from 1, of so many. `target`: the database's DSN. The sockets listen; this process closes its own."""

    number: int
    of: int
    target: str
    doors: Doors
    local: LocalDoor
    line: Line
    archives: frozenset[str]
    """From which this process brings images."""

    @property
    def is_first(self) -> bool:
        """It does what only one of them can."""
        return self.number == 1

    def brings(self, archive: str) -> bool:
        return archive in self.archives

    async def metrics_of_others(self) -> Mapping[str, bytes]:
        """By process, as text."""
        try:
            async with asyncio.timeout(_TOLD_WITHIN):
                told: dict[str, str] = orjson.loads(await self.line.ask(METRICS))
        except (ConnectionError, TimeoutError):  # Whoever started this process has ended, or hangs.
            return {}
        return {name: text.encode() for name, text in told.items()}
