"""Who asks, and what for: the credential, and then the body of a request that has one."""

from collections.abc import Awaitable, Callable

from aiohttp import web

from mdm_async.names import Caller
from mdm_async.web.http.body import Form, incoming, parsed
from mdm_async.web.http.credential import caller_of, identified_caller_of
from mdm_async.web.http.encodings import demand_json

_Who = Callable[[web.Request], Awaitable[Caller]]


async def asked(request: web.Request, form: type[Form]) -> tuple[Caller, Form]:
    """Raises as `caller_of`, and TooLarge, TooManyRequests, BadRequest."""
    return await _asked(request, form, caller_of)


async def asked_by_name(request: web.Request, form: type[Form]) -> tuple[Caller, Form]:
    """As `asked`, where nobody is served who does not say who they are."""
    return await _asked(request, form, identified_caller_of)


async def _asked(request: web.Request, form: type[Form], who: _Who) -> tuple[Caller, Form]:
    """The credential is looked at before a body is waited for, and again after the wait: one that ended meanwhile
    counts no more."""
    caller = await who(request)
    demand_json(request)
    must_wait = not request.content.is_eof()
    with incoming(request, caller) as held:
        body = await held.whole()
        if must_wait:
            caller = await who(request)
        return caller, await parsed(request, body, form)
