"""How an operation is run for a caller, whatever the wire: in its turn, with what it may use."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from aiohttp import web
from pydantic import BaseModel

from mdm_async.names import Caller
from mdm_async.web.http.house import HOUSE
from mdm_async.web.http.turn import turn
from mdm_async.web.srm.context import Context
from mdm_async.web.srm.operations import Operation
from mdm_async.web.srm.results import Result


@asynccontextmanager
async def served(
    request: web.Request, operation: Operation, caller: Caller, form: BaseModel
) -> AsyncIterator[Result]:
    """The result; the answer is to be made of it inside. Raises TooManyRequests at once, and as the operation does."""
    if operation.by_pieces:
        with request.app[HOUSE].desk.turns.serving(caller.payer):
            yield await operation.run(Context.of(request, caller), form)
    else:
        async with turn(request, caller, form):
            yield await operation.run(Context.of(request, caller), form)
