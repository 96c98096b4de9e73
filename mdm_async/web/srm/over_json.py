"""SRM over JSON: POST /srm/v2/<operation>. Errors are SRM status codes inside HTTP statuses that mean the same."""

from collections.abc import Callable, Sequence

from aiohttp import web

from mdm_async.errors import MdmError, NotSupported
from mdm_async.web.http import problem
from mdm_async.web.http.asked import asked
from mdm_async.web.http.credential import caller_of
from mdm_async.web.http.reply import ACT, json_reply
from mdm_async.web.srm.json_renderer import Tree, files_tree, http_status, tree
from mdm_async.web.srm.operations import OPERATIONS
from mdm_async.web.srm.results import File, Files, Result, SurlStatus
from mdm_async.web.srm.serving import served


def routes() -> list[web.AbstractRouteDef]:
    return [web.post("/srm/v2/{operation}", serve)]


async def serve(request: web.Request) -> web.Response:
    try:
        return await _run(request)
    except MdmError as error:
        return refused(request, error)


def refused(request: web.Request, error: MdmError) -> web.Response:
    """The whole request."""
    problem.log(error)
    return _reply(request, Result.failed(error))


def _reply(request: web.Request, result: Result) -> web.Response:
    return json_reply(request, tree(result), http_status(result), errors=result.errors)


def files_reply(request: web.Request, result: Files[File], told: Callable[[File], Tree]) -> web.Response:
    """The statuses of files, of requests that are none of SRM's. `told`: what is said of a file beside its status."""
    return json_reply(request, files_tree(result, told), http_status(result), errors=result.errors)


def surls_reply(request: web.Request, outcomes: Sequence[tuple[str, MdmError | None]]) -> web.Response:
    """As `files_reply`, where a file has its status alone."""
    return files_reply(request, Files.done([SurlStatus.of(*one) for one in outcomes]), lambda _: {})


async def _run(request: web.Request) -> web.Response:
    operation = OPERATIONS.get(request.match_info["operation"])
    if operation is None:
        await caller_of(request)
        raise NotSupported("no such operation", remedy="the README lists the operations")
    request[ACT] = request.match_info["operation"]
    caller, form = await asked(request, operation.form)
    async with served(request, operation, caller, form) as result:
        return _reply(request, result)
