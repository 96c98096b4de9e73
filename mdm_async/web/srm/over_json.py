"""SRM over JSON: POST /srm/v2/<operation>. Errors are SRM status codes inside HTTP statuses that mean the same."""

import orjson
from aiohttp import web

from mdm_async.errors import MdmError, NotSupported, Unauthenticated
from mdm_async.web.http import problem
from mdm_async.web.http.body import parse
from mdm_async.web.http.channel import caller_of
from mdm_async.web.http.house import HOUSE
from mdm_async.web.srm.answers import Answer, failed
from mdm_async.web.srm.context import Context
from mdm_async.web.srm.operations import OPERATIONS


def routes() -> list[web.AbstractRouteDef]:
    return [web.post("/srm/v2/{operation}", serve)]


async def serve(request: web.Request) -> web.Response:
    try:
        answer = await _run(request)
    except MdmError as error:
        problem.log(error)
        problem.note(request, [error])
        return problem.response(error, request, failed(error).tree)
    problem.note(request, answer.errors)
    headers = {"Cache-Control": "no-store"}
    if answer.http == Unauthenticated.http:
        headers["WWW-Authenticate"] = problem.CHALLENGE
    if answer.retry_after is not None:
        headers["Retry-After"] = str(answer.retry_after)
    return web.Response(
        body=orjson.dumps(answer.tree), status=answer.http, content_type="application/json", headers=headers
    )


async def _run(request: web.Request) -> Answer:
    operation = OPERATIONS.get(request.match_info["operation"])
    if operation is not None:
        request[problem.ACT] = request.match_info["operation"]
    caller = await caller_of(request)
    if operation is None:
        raise NotSupported("no such operation", remedy="the README lists the operations")
    asked = await parse(request, operation.form)
    return await operation.run(Context(request.app[HOUSE].archive, caller, request), asked)
