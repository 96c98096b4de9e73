"""How much one archive is asked at once, and how often: what its administrator allows."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field


@dataclass(slots=True)
class Throttle:
    """`most` requests at once; `rate` a second begin (0: any). Who waits is served in order."""

    most: int
    rate: float
    _places: asyncio.Semaphore = field(init=False)
    _next: float = 0.0
    """When the next request may begin, on the loop's clock."""

    def __post_init__(self) -> None:
        self._places = asyncio.Semaphore(self.most)

    @asynccontextmanager
    async def turn(self) -> AsyncIterator[None]:
        """While one request runs."""
        async with self._places:
            if self.rate:
                now = asyncio.get_running_loop().time()
                begins = max(now, self._next)
                self._next = begins + 1 / self.rate
                await asyncio.sleep(begins - now)
            yield
