"""A sealed server: it lives, takes custodians' shares, and tells everybody else that it is sealed."""

from aiohttp import web
from prometheus_client import CONTENT_TYPE_LATEST, Gauge, generate_latest

from mdm_async.errors import Forbidden, Unavailable
from mdm_async.keys.custodians import Custodians
from mdm_async.settings import ServerSettings
from mdm_async.web.admin import health, unsealing
from mdm_async.web.admin.unsealing import CUSTODIANS
from mdm_async.web.http import counting, problem
from mdm_async.web.http.local_socket import came_by_socket
from mdm_async.web.srm import over_json
from mdm_async.web.srm.soap import over_soap

_SEALED = Gauge("mdm_sealed", "1 until the server has its key-encryption keys and serves, then 0")
_SERVER = web.AppKey("server", ServerSettings)


def sealed_application(custodians: Custodians, settings: ServerSettings) -> web.Application:
    app = web.Application(middlewares=[counting.middleware, problem.middleware, _by_socket_or_sealed])
    app[CUSTODIANS] = custodians
    app[_SERVER] = settings
    app.on_startup.append(_begins)
    app.on_cleanup.append(_ends)
    app.on_response_prepare.append(problem.name_answer)
    app.add_routes(unsealing.sealed_routes())
    app.add_routes(
        [
            web.get("/health/live", health.live),
            web.get("/metrics", _metrics),
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
        raise _refusal(request) from None


async def _begins(_app: web.Application) -> None:
    _SEALED.set(1)


async def _ends(_app: web.Application) -> None:
    _SEALED.set(0)


async def _metrics(request: web.Request) -> web.Response:
    """Who watches over a server is to tell one that is sealed from one that is dead."""
    health.demand_metrics(request, request.app[_SERVER])
    return web.Response(body=generate_latest(), headers={"Content-Type": CONTENT_TYPE_LATEST})


def _refusal(request: web.Request) -> Unavailable:
    return request.app[CUSTODIANS].refusal()


async def _srm_over_json(request: web.Request) -> web.Response:
    return over_json.refused(request, _refusal(request))


async def _srm_over_soap(request: web.Request) -> web.Response:
    answer = over_soap.refused(request, _refusal(request))
    answer.force_close()
    return answer


async def _refuse(request: web.Request) -> web.Response:
    """`/health/ready`, too: there is no readiness without keys."""
    raise _refusal(request)
