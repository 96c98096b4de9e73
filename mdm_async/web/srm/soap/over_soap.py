"""SRM over SOAP: POST /srm/managerv2, and GET of it with `?wsdl`.

What an operation refuses is told in its own response, with HTTP 200. What could not be read as one, or came from nobody
who may ask, is a fault of SOAP 1.1 with the error's HTTP status.

Every answer closes its connection: the grid's clients do not ask again where one that was kept has been closed.
"""

import asyncio
from functools import partial

from aiohttp import web
from pydantic import BaseModel

from mdm_async.errors import MdmError, NotFound, NotSupported
from mdm_async.names import Caller
from mdm_async.settings import Settings
from mdm_async.web.http import problem, xml
from mdm_async.web.http.body import incoming, made_of, validated
from mdm_async.web.http.credential import caller_of
from mdm_async.web.http.encodings import demand_xml
from mdm_async.web.http.house import HOUSE
from mdm_async.web.http.reply import ACT, reply
from mdm_async.web.srm.operations import OPERATIONS
from mdm_async.web.srm.results import Files, Listed, Result
from mdm_async.web.srm.serving import served
from mdm_async.web.srm.soap import writing, wsdl
from mdm_async.web.srm.soap.encoding import Encoding
from mdm_async.web.srm.soap.reading import Asked, Tree
from mdm_async.web.srm.soap.schema import TYPES, Called
from mdm_async.web.srm.soap.shapes import Spoken, status
from mdm_async.web.srm.soap.spoken import SPOKEN
from mdm_async.web.turls.address import TurlAddress

PATH = "/srm/managerv2"
_XML = "text/xml"
_WRITTEN_AT_ONCE = 100
"""Files of an answer; more are written in a thread, one answer at a time."""


def routes() -> list[web.AbstractRouteDef]:
    return [web.post(PATH, serve), web.get(PATH, describe)]


async def describe(request: web.Request) -> web.Response:
    await caller_of(request)
    if request.query_string.lower() != "wsdl":
        raise NotFound("SOAP is sent here by POST", remedy=f"GET {PATH}?wsdl for its description")
    address = TurlAddress.choose(request, request.app[HOUSE], None, False)
    return reply(request, wsdl.description(address.base + PATH), _XML)


async def serve(request: web.Request) -> web.Response:
    try:
        answer = await _run(request)
    except MdmError as error:
        answer = refused(request, error)
    except (ConnectionError, web.HTTPException):
        raise
    except Exception as error:
        problem.log(error)
        answer = refused(request, MdmError("an unexpected failure; the server's log knows more"))
    answer.force_close()
    return answer


def refused(request: web.Request, error: MdmError) -> web.Response:
    """A fault: the whole request."""
    problem.log(error)
    reason = f"{error.detail}; {error.remedy}" if error.remedy else error.detail
    return reply(request, writing.fault(error.http < 500, reason), _XML, error.http, errors=[error])


async def _run(request: web.Request) -> web.Response:
    encoding = Encoding.of(request)
    caller, called, form = await _asked(request, encoding)
    spoken = SPOKEN.get(called.name)
    request[ACT] = spoken.operation if spoken is not None else called.name
    try:
        if isinstance(form, MdmError):
            raise form
        assert spoken is not None
        async with served(request, OPERATIONS[spoken.operation], caller, form) as result:
            return await _answer(request, called, spoken, result, encoding)
    except MdmError as error:
        if not _tells_status(called):
            raise
        problem.log(error)
        return await _answer(request, called, None, Result.failed(error), encoding)


async def _asked(request: web.Request, encoding: Encoding) -> tuple[Caller, Called, BaseModel | MdmError]:
    """Who asks for which operation, and with what, or why that cannot be read. As `web.http.asked` otherwise."""
    caller = await caller_of(request)
    demand_xml(request)
    must_wait = not request.content.is_eof()
    with incoming(request, caller) as held:
        body = await held.whole()
        if must_wait:
            caller = await caller_of(request)
        settings = request.app[HOUSE].settings
        return caller, *await made_of(request, body, partial(_read, settings, body, encoding))


def _read(settings: Settings, body: bytearray, encoding: Encoding) -> tuple[Called, BaseModel | MdmError]:
    """Raises TooLarge, BadRequest and NotSupported while it is not known which operation is asked for."""
    values = settings.limits.values
    asked = Asked.of(xml.read(body, values))
    spoken = SPOKEN.get(asked.called.name)
    try:
        if spoken is None:
            raise NotSupported(f"{asked.called.name} is not offered here")
        fields = spoken.form(asked.fields(encoding.read, values))
        return asked.called, validated(fields, OPERATIONS[spoken.operation].form, settings.transfers.max_bulk)
    except MdmError as why:
        return asked.called, why


async def _answer(
    request: web.Request, called: Called, spoken: Spoken | None, result: Result, encoding: Encoding
) -> web.Response:
    write = partial(_written, called, spoken, result, encoding)
    if _size(result) <= _WRITTEN_AT_ONCE:
        body = write()
    else:
        body = await asyncio.get_running_loop().run_in_executor(request.app[HOUSE].parsing, write)
    return reply(request, body, _XML, errors=result.errors)


def _written(called: Called, spoken: Spoken | None, result: Result, encoding: Encoding) -> bytes:
    tree: Tree = {} if spoken is None else spoken.told(result)
    if _tells_status(called):
        tree.setdefault("returnStatus", status(result.status))
    return writing.answer(called, tree, encoding.write)


def _tells_status(called: Called) -> bool:
    """Only that of ping does not."""
    return "returnStatus" in TYPES[called.response_type]


def _size(result: Result) -> int:
    if not isinstance(result, Files):
        return 1
    below = (len(file.detail.below) for file in result.files if isinstance(file, Listed) and file.detail)
    return len(result.files) + sum(below)
