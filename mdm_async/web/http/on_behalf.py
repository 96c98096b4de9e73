"""For whom a request uses the catalog: until it is known who asks, for the address that it came from."""

from aiohttp import web
from aiohttp.typedefs import Handler

from mdm_async.names import Caller
from mdm_async.postgres.turns import on_behalf
from mdm_async.web.http.channel import source_of


@web.middleware
async def middleware(request: web.Request, handler: Handler) -> web.StreamResponse:
    on_behalf.set(_of_source(request))
    return await handler(request)


def runs_for(request: web.Request, caller: Caller) -> None:
    """Callers without a name share it, and are told apart by where they are. Others are one each, by whichever
    credential: a grid token with other capabilities is got for the asking."""
    on_behalf.set(_of_source(request) if caller.is_anonymous else caller.payer.account)


def _of_source(request: web.Request) -> str:
    return f"source {source_of(request)}"
