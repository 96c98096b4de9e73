"""`wrk` as a control: it only counts, in C. Were it much faster than our load, our load would be the bottleneck."""

import asyncio
import re
import shutil
from collections.abc import Sequence
from pathlib import Path

import orjson

from bench.connection import WrongAnswer
from bench.plan import Exchange

_RATE = re.compile(rb"Requests/sec:\s+([\d.]+)")
_ERRORS = re.compile(rb"(Non-2xx[^\n]*|Socket errors[^\n]*)")
_SCRIPT = """
local requests = {%s}
local n = 0
function request()
  n = n %% #requests + 1
  return requests[n]
end
"""


async def wrk(
    url: str, exchanges: Sequence[Exchange], connections: int, seconds: float, folder: Path
) -> float | None:
    """Requests a second that wrk gets out of the same requests; None when it is not installed."""
    program = shutil.which("wrk")
    if program is None:
        return None
    script = folder / "requests.lua"
    script.write_text(_SCRIPT % ",".join(orjson.dumps(e.head).decode() for e in exchanges))
    process = await asyncio.create_subprocess_exec(
        *(program, "-t1", f"-c{connections}", f"-d{max(1, round(seconds))}s", "-s", str(script), url),
        stdout=asyncio.subprocess.PIPE,
    )
    printed, _ = await process.communicate()
    rate, errors = _RATE.search(printed), _ERRORS.search(printed)
    if rate is None or errors is not None:
        raise WrongAnswer(f"wrk: {printed.decode(errors='replace')}")
    return float(rate[1])
