"""A second wire of the tests' own: SRM's results as elements with the names that SRM v2.2 has on the SOAP wire.

An element is a name with a text or with elements. What differs from one operation to another, such as what a file's
SURL is called, is known by the class of the result alone.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import orjson
from aiohttp import web

from mdm_async.errors import MdmError
from mdm_async.web.http import problem
from mdm_async.web.http.asked import asked
from mdm_async.web.http.house import HOUSE, House
from mdm_async.web.http.reply import reply
from mdm_async.web.srm import results
from mdm_async.web.srm.context import Context
from mdm_async.web.srm.operations import OPERATIONS
from mdm_async.web.srm.results import Files, PathDetail, Result, ReturnStatus, SurlStatus
from mdm_async.web.turls import transfer
from tests.web.listening import listening

Element = tuple[str, Any]


def elements(operation: str, result: Result) -> Element:
    """The response's inner wrapper; the status comes first."""
    return (
        f"srm{operation[0].upper()}{operation[1:]}Response",
        [*_status("returnStatus", result.status), *_rest(result)],
    )


def _rest(result: Result) -> list[Element]:
    match result:
        case Files(files=[results.Listed(), *_]):
            return [("details", [("pathDetailArray", _listed(file)) for file in result.files])]
        case Files():
            token = _known(requestToken=result.request_token)
            return [*token, ("arrayOfFileStatuses", [("statusArray", _file(file)) for file in result.files])]
        case results.Version():
            other = [("extraInfoArray", _known(key=key, value=value)) for key, value in result.other_info]
            return [("versionInfo", result.version), ("otherInfo", other)]
        case results.TransferProtocols():
            offered = [("protocolArray", _known(transferProtocol=one)) for one in result.protocols]
            return [("protocolInfo", offered)]
        case results.RequestTokens():
            tokens = [("tokenArray", _known(requestToken=str(one.token))) for one in result.tokens]
            return [("arrayOfRequestTokens", tokens)]
    return []  # mkdir, rmdir, mv: the standard has the status alone


def _status(name: str, status: ReturnStatus) -> list[Element]:
    return [(name, _known(statusCode=status.code, explanation=status.explanation))]


def _file(file: SurlStatus) -> list[Element]:
    status = _status("status", file.status)
    match file:
        case results.GetFile():
            more = _known(
                fileSize=file.size, remainingPinTime=file.remaining_pin_time, transferURL=file.transfer_url
            )
            return [("sourceSURL", file.surl), *status, *more]
        case results.BringOnlineFile():
            return [("sourceSURL", file.surl), *status, *_known(remainingPinTime=file.remaining_pin_time)]
        case results.PutFile():
            more = _known(remainingPinLifetime=file.remaining_pin_time, transferURL=file.transfer_url)
            return [("SURL", file.surl), *status, *more]
        case results.ExtendedFile():
            return [("surl", file.surl), *status, *_known(pinLifetime=file.pin_lifetime)]
        case results.OwnPermission():
            return [("surl", file.surl), *status, *_known(permission=file.permission)]
    return [("surl", file.surl), *status]


def _listed(file: results.Listed) -> list[Element]:
    if file.detail is None:
        return [("path", file.surl), *_status("status", file.status)]
    return _detail(file.detail, file.status)


def _detail(detail: PathDetail, status: ReturnStatus) -> list[Element]:
    told = [("path", detail.path), *_status("status", status), ("type", detail.kind)]
    told += _known(lastModificationTime=f"{detail.modified:%Y-%m-%dT%H:%M:%SZ}")
    if detail.file is not None:
        told += _known(size=detail.file.size, fileLocality=detail.file.locality)
        told += _known(fileStorageType=detail.file.storage_type)
        if detail.file.checksum is not None:
            told += _known(checkSumType=detail.file.checksum.kind, checkSumValue=detail.file.checksum.value)
    if detail.below:
        below = [("pathDetailArray", _detail(child, results.SUCCESS)) for child in detail.below]
        told.append(("arrayOfSubPaths", below))
    return told


def _known(**fields: object) -> list[Element]:
    return [(name, str(value)) for name, value in fields.items() if value is not None]


async def _serve(request: web.Request) -> web.Response:
    """Whatever went wrong, the answer is 200 with a status in it, as on the SOAP wire."""
    name = request.match_info["operation"]
    operation = OPERATIONS[name]
    try:
        caller, form = await asked(request, operation.form)
        result = await operation.run(Context.of(request, caller), form)
    except MdmError as error:
        result = Result.failed(error)
    body = orjson.dumps(elements(name, result))
    return reply(request, body, "application/x-elements", errors=result.errors)


@asynccontextmanager
async def second_wire(house: House) -> AsyncIterator[str]:
    """Where it is, while it is there."""
    app = web.Application(middlewares=[problem.middleware])
    app[HOUSE] = house
    app.add_routes([web.post("/elements/{operation}", _serve), *transfer.routes()])
    async with listening(app, house) as url:
        yield f"{url}/elements"


def found(element: Any, *names: str) -> list[Any]:
    """All that stands under these names, one below the other, in a response."""
    inside = [element[1]]
    for name in names:
        inside = [value for group in inside for key, value in group if key == name]
    return inside
