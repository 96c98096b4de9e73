"""What one large head costs, each in a process of its own: `python -m bench.enhanced cost|lag HEAD` prints JSON.

cost: CPU seconds and mebibytes that scrubbing adds to a process that has read the head and scrubbed a small one.
lag: the longest time that the event loop was held up while the server's scrubber scrubs it.
"""

import asyncio
import sys
import time
from pathlib import Path
from statistics import median

import orjson
import uvloop

from bench.heads import typical_ct
from mdm_async.dicom.profile import basic
from mdm_async.dicom.scrub import PixelFacts, scrub
from mdm_async.images.views.scrub_jobs import Begin
from mdm_async.images.views.scrubbing import Scrubber
from mdm_async.settings import ScrubSettings

KEY = bytes(32)
NO_PIXELS = PixelFacts(present=False, value_length=0, encapsulated=False, findings=())
_TICK = 0.001
_TIMES = 5


def cost(head: bytes) -> dict[str, float]:
    """Of scrubbing this head once."""
    scrub(typical_ct(), b"", profile=basic(), key=KEY, pixels=NO_PIXELS)
    before, started = _resident(), time.process_time()
    made = scrub(head, b"", profile=basic(), key=KEY, pixels=NO_PIXELS)
    spent = time.process_time() - started
    return {"seconds": spent, "MiB": (_peak() - before) / (1 << 20), "made": len(made.head)}


def _resident() -> int:
    """Bytes of this process now; its peak, as the kernel remembers it, begins anew."""
    Path("/proc/self/clear_refs").write_text("5")
    return _status("VmRSS")


def _peak() -> int:
    return _status("VmHWM")


def _status(name: str) -> int:
    (line,) = (
        one for one in Path("/proc/self/status").read_text().splitlines() if one.startswith(f"{name}:")
    )
    return int(line.split()[1]) << 10


async def lag(head: bytes) -> dict[str, float]:
    """Milliseconds, when nothing is done and while the head is scrubbed: the median of some times, and the most."""
    with Scrubber(ScrubSettings()) as scrubber:
        await scrubber.run(Begin(basic(), KEY, typical_ct()), bulk=True)
        idle, busy, seconds = [], [], []
        for _ in range(_TIMES):
            idle.append(await _longest_gap(asyncio.sleep(0.5)))
            started = time.perf_counter()
            busy.append(await _longest_gap(scrubber.run(Begin(basic(), KEY, head))))
            seconds.append(time.perf_counter() - started)
        return {"idle": median(idle), "busy": median(busy), "most": max(busy), "seconds": median(seconds)}


async def _longest_gap(work) -> float:  # type: ignore[no-untyped-def]
    """Milliseconds between two ticks beyond the tick itself, at the most, until the work is done."""
    task, longest, last = asyncio.ensure_future(work), 0.0, time.perf_counter()
    while not task.done():
        await asyncio.sleep(_TICK)
        now = time.perf_counter()
        longest, last = max(longest, now - last - _TICK), now
    await task
    return longest * 1000


if __name__ == "__main__":
    what, path = sys.argv[1:]
    data = Path(path).read_bytes()
    print(orjson.dumps(cost(data) if what == "cost" else uvloop.run(lag(data))).decode())
