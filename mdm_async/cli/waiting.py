"""Why a command waits, when the server says "later"."""

import math
import sys
import time
from datetime import timedelta
from typing import Final

from mdm_async.cli.output import plain
from mdm_async.errors import MdmError, NotOnline

_EVERY: Final = 10.0
"""Seconds between two lines: eight transfers that wait say it once."""


class Waiting:
    """Told of each wait; says one now and then, above the bars if there are any. What may take hours, files of
    archives, it says again only when it has changed."""

    def __init__(self) -> None:
        self._said, self._said_at = "", -math.inf

    def __call__(self, error: MdmError, seconds: float) -> None:
        now = time.monotonic()
        reason = error.detail or error.title
        is_of_archives = isinstance(error, NotOnline)
        if now - self._said_at < _EVERY or (is_of_archives and reason == self._said):
            return
        self._said, self._said_at = reason, now
        when = f"; again in {seconds:.0f} s"
        if is_of_archives:
            when = f", in about {timedelta(seconds=error.retry_after)}" if error.retry_after else ""
        sys.stderr.write(plain(f"mdm: waiting, for the server says: {reason}{when}") + "\n")
        sys.stderr.flush()
