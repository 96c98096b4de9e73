"""A server that waits for nobody while a test wants it so, and is patient with what leads up to that."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from mdm_async.web import listening
from mdm_async.web.http.connections import Connections
from tests.conftest import Server, running_server


@dataclass
class HastyServer(Server):
    kept: list[Connections]
    """Of the ports, and of the socket."""

    @contextmanager
    def hasty(self, **limits: float) -> Iterator[None]:
        """With these `limits`, in seconds, for all who are connected."""
        patient = self.house.settings.limits
        try:
            self._limit(patient.model_copy(update=limits))
            yield
        finally:
            self._limit(patient)

    def _limit(self, limits: Any) -> None:
        for connections in self.kept:
            connections.limits = limits


@asynccontextmanager
async def hasty_server(data: Path, dsn: str, **sections: dict[str, Any]) -> AsyncIterator[HastyServer]:
    """It looks after those who wait as often as one whose waits are all 0.3 seconds."""
    kept: list[Connections] = []

    def noted(limits: Any, *arguments: Any) -> Connections:
        brief = {"head_seconds": 0.3, "idle_seconds": 0.3, "pace_seconds": 0.3}
        kept.append(Connections(limits.model_copy(update=brief), *arguments))
        return kept[-1]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(listening, "Connections", noted)
        async with running_server(data, dsn, **sections) as server:
            found = HastyServer(**vars(server), kept=kept)
            await asyncio.sleep(0)  # They begin to look.
            with found.hasty():
                yield found


async def keeping_the_pace(transferred: Callable[[], Awaitable[bool]]) -> bool:
    """Whether a transfer that means to keep the pace is let be. A machine that stands still keeps it from that: then
    once more."""
    for _ in range(4):
        with suppress(ConnectionError, asyncio.IncompleteReadError):
            if await transferred():
                return True
    return False
