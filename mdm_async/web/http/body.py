"""Request bodies, and what is made of them: JSON checked against its form, or an XML document. Each step is bounded
before it begins."""

import asyncio
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeVar
from xml.etree.ElementTree import Element

import orjson
from aiohttp import web
from pydantic import BaseModel, ValidationError

from mdm_async.errors import BadRequest, TooLarge
from mdm_async.images.budget import Held
from mdm_async.names import Caller
from mdm_async.web.http import xml
from mdm_async.web.http.expectation import ask_for_body
from mdm_async.web.http.house import HOUSE

Form = TypeVar("Form", bound=BaseModel)
Made = TypeVar("Made")

_PARSED_AT_ONCE = 16 << 10
"""Bytes; more would hold the loop for too long: 64 KiB of the shortest names take it 60 ms."""
_SHOWN = 64
"""Characters of a field's name, which may be the caller's own."""


@dataclass(frozen=True, slots=True)
class Incoming:
    """A body that may be read, for which memory is held."""

    request: web.Request
    most: int
    held: Held

    async def whole(self) -> bytearray:
        """All of it. Raises TooLarge, TooManyRequests, BadRequest."""
        await ask_for_body(self.request)
        body = bytearray()
        try:
            async for chunk in self.request.content.iter_any():
                body += chunk
                if len(body) > self.most:
                    raise _too_large(self.most)
                self.held.grow_to(len(body))
        except web.RequestPayloadError:
            raise BadRequest("the request's body broke off") from None
        return body


@contextmanager
def incoming(request: web.Request, caller: Caller, most: int | None = None) -> Iterator[Incoming]:
    """A body of this caller's, by whom it goes how long it may be, and no longer than `most`.

    Where its length is told, one that is too long, or has no room, is refused before a byte of it is read. Whatever
    its format: that is for who calls. Raises TooLarge, TooManyRequests.
    """
    house = request.app[HOUSE]
    most = min(house.settings.transfers.max_body, most or sys.maxsize)
    if caller.is_anonymous:
        most = min(most, house.settings.limits.anonymous_body)
    told = request.content_length or 0
    if told > most:
        raise _too_large(most)
    with house.budget.holding(caller.payer, told) as held:
        yield Incoming(request, most, held)


async def parsed(request: web.Request, body: bytearray, form: type[Form]) -> Form:
    """Raises TooLarge, and BadRequest with where and why, never with the value: it may be a name."""
    settings = request.app[HOUSE].settings
    limits = (settings.limits.values, settings.transfers.max_bulk)
    return await made_of(request, body, partial(_parse, body, form, *limits))


async def document(request: web.Request, body: bytearray) -> Element:
    """The root of a body that is XML. Raises TooLarge, BadRequest."""
    return await made_of(request, body, partial(xml.read, body, request.app[HOUSE].settings.limits.values))


async def made_of(request: web.Request, body: bytearray, make: Callable[[], Made]) -> Made:
    """What `make` makes of a body; of long ones in a thread, one at a time."""
    if len(body) <= _PARSED_AT_ONCE:
        return make()
    return await asyncio.get_running_loop().run_in_executor(request.app[HOUSE].parsing, make)


def _parse(body: bytearray, form: type[Form], values: int, most: int) -> Form:
    # Before anything is made of it: a few bytes of JSON can be an object of a hundred.
    if _holds_more_than(values, body):
        raise TooLarge("the request's JSON holds too many values", remedy="name fewer files in one request")
    try:
        tree = orjson.loads(body or b"{}")
    except orjson.JSONDecodeError:
        raise BadRequest("the request's body is not JSON") from None
    return validated(tree, form, most)


def validated(tree: Any, form: type[Form], most: int) -> Form:
    """`most`: files that one request may name. Raises BadRequest with where and why, never with the value."""
    try:
        return form.model_validate(tree, context={"most": most})
    except ValidationError as errors:
        found = errors.errors(include_url=False, include_context=False, include_input=False)[:5]
        reasons = [f"{'.'.join(str(at)[:_SHOWN] for at in e['loc']) or 'body'}: {e['msg']}" for e in found]
        raise BadRequest("; ".join(reasons)) from None


def _holds_more_than(values: int, body: bytes | bytearray) -> bool:
    if _marks(body) <= values:
        return False
    if body.count(b'"') > 2 * values:
        return True
    # What stands in texts makes no values: a table of patients is one text.
    outside = body.replace(b"\\\\", b"").replace(b'\\"', b"").split(b'"')[::2]
    return _marks(b"".join(outside)) > values


def _marks(body: bytes | bytearray) -> int:
    return sum(body.count(mark) for mark in (b",", b"[", b"{"))


def _too_large(most: int) -> TooLarge:
    return TooLarge(
        f"the request's body is too large: {most} bytes are taken of this caller",
        remedy="name fewer files in one request",
    )
