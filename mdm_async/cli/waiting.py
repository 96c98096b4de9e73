"""Why a command waits, when the server says "later"."""

import math
import sys
import time
from typing import Final

from mdm_async.cli.output import plain
from mdm_async.errors import MdmError

_EVERY: Final = 10.0
"""Seconds between two lines: eight transfers that wait say it once."""


class Waiting:
    """Told of each wait; says one now and then, above the bars if there are any."""

    def __init__(self) -> None:
        self._said_at = -math.inf

    def __call__(self, error: MdmError, seconds: float) -> None:
        now = time.monotonic()
        if now - self._said_at < _EVERY:
            return
        self._said_at = now
        reason = error.detail or error.title
        sys.stderr.write(
            plain(f"mdm: waiting, for the server says: {reason}; again in {seconds:.0f} s") + "\n"
        )
        sys.stderr.flush()
