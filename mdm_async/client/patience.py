"""How long to wait before something is tried again."""

import asyncio
import random
from typing import Final

FIRST: Final = 0.1
LONGEST: Final = 10.0


def delay(failures: int, retry_after: int | None = None) -> float:
    """Seconds to wait after so many failures in a row: doubling, at random between half and all of it, so that
    a thousand workers do not return at once. What the server asked for counts, up to a minute."""
    longest = min(FIRST * 2.0 ** (failures - 1), LONGEST)
    return max(longest * random.uniform(0.5, 1), min(retry_after or 0, 60))  # noqa: S311 — no secret


async def pause(failures: int, retry_after: int | None = None) -> None:
    await asyncio.sleep(delay(failures, retry_after))
