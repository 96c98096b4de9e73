"""Memory that a load has left behind is given back to the system, now and then, beside all else."""

import asyncio
import ctypes
import gc
import os
from concurrent.futures import Executor
from pathlib import Path

_EVERY = 10.0
_GROWN = 1.2
"""Times what the process holds when it is calm: below, nothing is done."""
_PAGE = os.sysconf("SC_PAGE_SIZE")
_STATM = Path("/proc/self/statm")


async def give_back_forever(pool: Executor) -> None:
    """Broken transfers end in exceptions whose tracebacks hold buffers, and these hold each other: only a collection
    finds them, and glibc keeps what was freed between what is still held until it is asked for it."""
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    calm = resident()
    while True:
        await asyncio.sleep(_EVERY)
        if resident() > calm * _GROWN:
            gc.collect()
            if trim is not None:
                await asyncio.get_running_loop().run_in_executor(pool, trim, 0)
        calm = min(calm, resident())


def resident() -> int:
    """Bytes."""
    return int(_STATM.read_text().split()[1]) * _PAGE
