"""SRM over SOAP: POST /srm/managerv2, and GET of it with `?wsdl`.

What an operation refuses is told in its own response, with HTTP 200. What could not be read as one, or came from nobody
who may ask, is a fault of SOAP 1.1 with the error's HTTP status.

Every answer closes its connection: the grid's clients do not ask again where one that was kept has been closed.
"""

import asyncio
from functools import partial

from aiohttp import web

from mdm_async.errors import MdmError, NotFound, NotSupported
from mdm_async.web.http import problem
from mdm_async.web.http.body import document, incoming, validated
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
from mdm_async.web.srm.soap.spoken import SPOKEN, Spoken, status
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
        problem.log(error)
        reason = f"{error.detail}; {error.remedy}" if error.remedy else error.detail
        body = writing.fault(error.http < 500, reason)
        answer = reply(request, body, _XML, error.http, errors=[error])
    answer.force_close()
    return answer


async def _run(request: web.Request) -> web.Response:
    caller = await caller_of(request)
    demand_xml(request)
    must_wait = not request.content.is_eof()
    with incoming(request, caller) as held:
        body = await held.whole()
        if must_wait:
            caller = await caller_of(request)
        asked = Asked.of(await document(request, body))
        spoken = SPOKEN.get(asked.called.name)
        request[ACT] = spoken.operation if spoken is not None else asked.called.name
        encoding = Encoding.of(request)
        try:
            if spoken is None:
                raise NotSupported(f"{asked.called.name} is not offered here")
            operation, settings = OPERATIONS[spoken.operation], request.app[HOUSE].settings
            fields = spoken.form(asked.fields(encoding.read, settings.limits.values))
            form = validated(fields, operation.form, settings.transfers.max_bulk)
            async with served(request, operation, caller, form) as result:
                return await _answer(request, asked.called, spoken, result, encoding)
        except MdmError as error:
            if "returnStatus" not in TYPES[asked.called.response_type]:
                raise
            problem.log(error)
            return await _answer(request, asked.called, None, Result.failed(error), encoding)


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
    if "returnStatus" in TYPES[called.response_type]:
        tree["returnStatus"] = status(result.status)
    return writing.answer(called, tree, encoding.write)


def _size(result: Result) -> int:
    if not isinstance(result, Files):
        return 1
    below = (len(file.detail.below) for file in result.files if isinstance(file, Listed) and file.detail)
    return len(result.files) + sum(below)
