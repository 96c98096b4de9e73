"""Request bodies in JSON, checked against their form."""

from typing import TypeVar

import orjson
from aiohttp import web
from pydantic import BaseModel, ValidationError

from mdm_async.errors import BadRequest, TooLarge

Form = TypeVar("Form", bound=BaseModel)


async def whole(request: web.Request) -> bytes:
    """The body, once all of it is there. Raises TooLarge, BadRequest."""
    try:
        return await request.read()
    except web.HTTPRequestEntityTooLarge:
        raise TooLarge("the request's body is too large", remedy="name fewer files in one request") from None
    except web.RequestPayloadError:
        raise BadRequest("the request's body broke off, or is not encoded as it says") from None


def parsed(body: bytes, form: type[Form]) -> Form:
    """Raises BadRequest with where and why, never with the value: it may be a name."""
    try:
        return form.model_validate(orjson.loads(body or b"{}"))
    except orjson.JSONDecodeError:
        raise BadRequest("the request's body is not JSON") from None
    except ValidationError as errors:
        reasons = [f"{'.'.join(map(str, e['loc'])) or 'body'}: {e['msg']}" for e in errors.errors()[:5]]
        raise BadRequest("; ".join(reasons)) from None
