"""All faces in one aiohttp application."""

from aiohttp import web

from mdm_async.web import audit, operations, problem, profiles, replicas, rights, srm_json, turl
from mdm_async.web.house import HOUSE, House


def application(house: House) -> web.Application:
    app = web.Application(
        middlewares=[problem.middleware], client_max_size=house.archive.settings.transfers.max_body
    )
    app[HOUSE] = house
    for face in (audit, operations, profiles, replicas, rights, srm_json, turl):
        app.add_routes(face.routes())
    return app
