"""A sealed server: it lives, takes custodians' shares, and tells everybody else that it is sealed."""

from aiohttp import web

from mdm_async.errors import Forbidden
from mdm_async.keys.custodians import Custodians, sealed
from mdm_async.web.admin import unsealing
from mdm_async.web.admin.unsealing import CUSTODIANS
from mdm_async.web.http import counting, problem
from mdm_async.web.http.local_socket import came_by_socket
from mdm_async.web.http.reply import json_reply
from mdm_async.web.srm import over_json
from mdm_async.web.srm.soap import over_soap


def sealed_application(custodians: Custodians) -> web.Application:
    app = web.Application(middlewares=[counting.middleware, problem.middleware, _by_socket_or_sealed])
    app[CUSTODIANS] = custodians
    app.on_response_prepare.append(problem.name_answer)
    app.add_routes(unsealing.sealed_routes())
    app.add_routes(
        [
            web.get("/health/live", _live),
            web.post("/srm/v2/{operation}", _srm_over_json),
            web.post(over_soap.PATH, _srm_over_soap),
            web.route("*", "/{anything:.*}", _refuse),
        ]
    )
    return app


@web.middleware
async def _by_socket_or_sealed(request: web.Request, handler: problem.Handler) -> web.StreamResponse:
    """Nobody is told apart here by who they are but those who come by the socket."""
    try:
        return await handler(request)
    except Forbidden:
        if came_by_socket(request):
            return web.Response(status=Forbidden.http)
        raise sealed() from None


async def _live(request: web.Request) -> web.Response:
    return json_reply(request, {"status": "live"})


async def _srm_over_json(request: web.Request) -> web.Response:
    return over_json.refused(request, sealed())


async def _srm_over_soap(request: web.Request) -> web.Response:
    answer = over_soap.refused(request, sealed())
    answer.force_close()
    return answer


async def _refuse(request: web.Request) -> web.Response:
    """`/health/ready`, too: there is no readiness without keys."""
    raise sealed()
