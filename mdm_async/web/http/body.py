"""Request bodies in JSON, checked against their form."""

from typing import TypeVar

import orjson
from aiohttp import web
from pydantic import BaseModel, ValidationError

from mdm_async.errors import BadRequest, TooLarge
from mdm_async.names import Caller
from mdm_async.web.http.expectation import ask_for_body
from mdm_async.web.http.house import HOUSE

Form = TypeVar("Form", bound=BaseModel)


async def whole(request: web.Request, caller: Caller) -> bytes:
    """The body, once all of it is there. How long it may be goes by who sends it, and a longer one is refused before
    a byte of it is read where its length is told. Raises TooLarge, BadRequest."""
    most = _most(request, caller)
    if (request.content_length or 0) > most:
        raise _too_large(most)
    await ask_for_body(request)
    body = bytearray()
    try:
        async for chunk in request.content.iter_any():
            body += chunk
            if len(body) > most:
                raise _too_large(most)
    except web.RequestPayloadError:
        raise BadRequest("the request's body broke off") from None
    return bytes(body)


def _most(request: web.Request, caller: Caller) -> int:
    settings = request.app[HOUSE].settings
    if caller.is_anonymous:
        return min(settings.limits.anonymous_body, settings.transfers.max_body)
    return settings.transfers.max_body


def _too_large(most: int) -> TooLarge:
    return TooLarge(
        f"the request's body is too large: {most} bytes are taken of this caller",
        remedy="name fewer files in one request",
    )


def parsed(body: bytes, form: type[Form]) -> Form:
    """Raises BadRequest with where and why, never with the value: it may be a name."""
    try:
        return form.model_validate(orjson.loads(body or b"{}"))
    except orjson.JSONDecodeError:
        raise BadRequest("the request's body is not JSON") from None
    except ValidationError as errors:
        reasons = [f"{'.'.join(map(str, e['loc'])) or 'body'}: {e['msg']}" for e in errors.errors()[:5]]
        raise BadRequest("; ".join(reasons)) from None
