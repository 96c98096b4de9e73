"""A request's turn at the catalog, weighed by the files that its form names and the text that it gives them."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

from aiohttp import web
from pydantic import BaseModel

from mdm_async.names import Caller
from mdm_async.web.http.house import HOUSE

_AS_A_FILE: Final = 256
"""Characters of text that are as much work as one file."""


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
        async with desk.turns.turn(caller.payer, files + _text(form) // _AS_A_FILE):
            yield


def _files(form: BaseModel) -> int:
    return sum(len(value) for value in form.__dict__.values() if isinstance(value, list))


def _text(form: BaseModel) -> int:
    given = [value for value in form.__dict__.values() if isinstance(value, dict)]
    return sum(len(text) for one in given for text in one.values() if isinstance(text, str))
