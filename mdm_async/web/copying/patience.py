"""How long the other server is waited for: it may be slow, but must go on."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from mdm_async.errors import PeerFailed

STEP = 64 << 10
"""Bytes that must come, or go, in the time."""


@dataclass(slots=True)
class Patience:
    """`seconds` for each answer, and for each `STEP` bytes. Only waiting for the other server takes of them."""

    seconds: float
    _left: float = field(init=False)
    _moved: int = 0
    _scope: asyncio.Timeout | None = None
    _since: float = 0.0

    def __post_init__(self) -> None:
        self._left = self.seconds

    def renew(self) -> None:
        """It has gone on, or is asked for something else."""
        self._moved, self._left = 0, self.seconds
        if self._scope is not None and not self._scope.expired():
            self._since = asyncio.get_running_loop().time()
            self._scope.reschedule(self._since + self.seconds)

    def moved(self, size: int) -> None:
        """So many bytes have come or gone."""
        self._moved += size
        if self._moved >= STEP:
            self.renew()

    @asynccontextmanager
    async def waiting(self) -> AsyncIterator[None]:
        """While it is waited for. Raises PeerFailed when it does not go on."""
        loop = asyncio.get_running_loop()
        self._since = loop.time()
        scope = asyncio.timeout(max(self._left, 0))
        try:
            async with scope:
                self._scope = scope
                yield
        except TimeoutError:
            if not scope.expired():
                raise
            raise PeerFailed("the other server did not go on in time") from None
        finally:
            self._scope = None
            self._left -= loop.time() - self._since
