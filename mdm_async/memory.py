"""Memory that a load has left behind is given back to the system, now and then, beside all else."""

import asyncio
import ctypes
import gc
import os
from concurrent.futures import Executor
from pathlib import Path

_EVERY = 10.0
_GROWN = 1.4
"""Times what the process holds when it is calm: below, nothing is done."""
_LITTLE, _MORE = 0.95, 1.1
_MOST_ROUNDS = 60
_PAGE = os.sysconf("SC_PAGE_SIZE")
_STATM = Path("/proc/self/statm")


async def give_back_forever(pool: Executor) -> None:
    """Broken transfers end in exceptions whose tracebacks hold buffers, and these hold each other: only a collection
    finds them, and glibc keeps what was freed between what is still held until it is asked for it."""
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    calm, last = resident(), 0
    left = rounds = 0
    while True:
        await asyncio.sleep(_EVERY)
        before = resident()
        if before <= calm * _GROWN:
            left = rounds = 0
        elif left and before <= last * _MORE:
            left -= 1
        else:
            gc.collect()
            if trim is not None:
                await asyncio.get_running_loop().run_in_executor(pool, trim, 0)
            last = resident()
            # What is in use gives nothing back, and a collection holds everybody up: then it is tried ever more seldom.
            left = rounds = min(2 * rounds + 1, _MOST_ROUNDS) if last > before * _LITTLE else 0
        calm = min(calm, resident())


def resident() -> int:
    """Bytes."""
    return int(_STATM.read_text().split()[1]) * _PAGE
