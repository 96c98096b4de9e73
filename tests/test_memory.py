"""Memory that is held in cycles, or freed between what is held, goes back to the system."""

import asyncio
import gc
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from mdm_async import memory
from tests.faults.conditions import until


class _Knot:
    """Holds itself, as an exception's traceback does whose frame holds the exception."""

    def __init__(self) -> None:
        self.self = self
        self.buffer = bytearray(1 << 16)


@pytest.fixture
def seldom_collected() -> Iterator[None]:
    before = gc.get_threshold()
    gc.set_threshold(100_000, 50, 1000)
    yield
    gc.set_threshold(*before)


@pytest.mark.usefixtures("seldom_collected")
async def test_what_only_holds_itself_is_given_back(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "_EVERY", 0.05)
    with ThreadPoolExecutor(1) as pool:
        giving = asyncio.create_task(memory.give_back_forever(pool))
        await asyncio.sleep(0)
        calm = memory.resident()
        # Enough to be noticed beside what a process of tests holds.
        for _ in range(calm >> 16):
            _Knot()
        assert memory.resident() > calm * 1.6
        await until(lambda: memory.resident() < calm * 1.4)
        giving.cancel()
