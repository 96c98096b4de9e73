"""Every request counted and timed, by what it tried to do."""

import time
from collections.abc import Awaitable, Callable

from aiohttp import web

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
        REQUESTS.labels(operation, str(status)).inc()
        SECONDS.labels(operation).observe(time.monotonic() - begun)
