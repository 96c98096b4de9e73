"""Every request counted and timed, by what it tried to do."""

import functools
import time
from collections.abc import Awaitable, Callable

from aiohttp import web
from prometheus_client import Counter, Histogram

from mdm_async.web.http.metrics import REQUESTS, SECONDS
from mdm_async.web.http.reply import act_of

_CUT = 499
"""The client went away before its answer was whole."""


@web.middleware
async def middleware(
    request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
) -> web.StreamResponse:
    begun, status = time.monotonic(), _CUT
    try:
        done = await handler(request)
        status = done.status
        return done
    finally:
        # What is nowhere has the caller's own word for its method, though only one of HTTP's.
        operation = act_of(request) if request.match_info.route.resource is not None else "none"
        count(operation, status, begun)


def count(operation: str, status: int, begun: float) -> None:
    """A request that came at that moment (`time.monotonic`) has been answered."""
    counter, histogram = _kept(operation, status)
    counter.inc()
    histogram.observe(time.monotonic() - begun)


@functools.cache
def _kept(operation: str, status: int) -> tuple[Counter, Histogram]:
    """Finding them by their labels would take longer than counting. Routes and statuses are few."""
    return REQUESTS.labels(operation, str(status)), SECONDS.labels(operation)
