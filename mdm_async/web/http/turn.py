"""A request's turn at the catalog, weighed and counted by the files that its form names."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from aiohttp import web
from pydantic import BaseModel

from mdm_async.names import Caller
from mdm_async.web.http.house import HOUSE


@asynccontextmanager
async def turn(request: web.Request, caller: Caller, form: BaseModel) -> AsyncIterator[None]:
    """The answer is to be made in it too: that of ten thousand files takes the event loop as long as they themselves.

    Raises TooManyRequests at once, before anything is done.
    """
    desk, files = request.app[HOUSE].desk, _files(form)
    if caller.is_anonymous and files > 1:
        # The request itself is counted already.
        desk.strangers.ask(caller.payer.worker, files - 1)
    with desk.turns.serving(caller.payer):
        async with desk.turns.turn(caller.payer, files):
            yield


def _files(form: BaseModel) -> int:
    return sum(len(value) for value in form.__dict__.values() if isinstance(value, list))
