"""All faces in one aiohttp application."""

from aiohttp import web

from mdm_async.web.admin import (
    archives,
    audit,
    cache,
    consistency,
    health,
    image_keys,
    intake,
    keys,
    local_tokens,
    macaroons,
    mappings,
    mirrors,
    profiles,
    replicas,
    rights,
    second_site,
    shredding,
    status,
    unsealing,
    whoami,
)
from mdm_async.web.admin.unsealing import CUSTODIANS
from mdm_async.web.cohorts import routes as cohorts
from mdm_async.web.copying.copies import COPIES_HERE, Copies
from mdm_async.web.dav import routes as dav
from mdm_async.web.dicomweb import cors
from mdm_async.web.dicomweb import routes as dicomweb
from mdm_async.web.http import begun, counting, on_behalf, problem
from mdm_async.web.http.house import HOUSE, House
from mdm_async.web.known import authorization_server, storage_report
from mdm_async.web.manifests import routes as manifests
from mdm_async.web.metadata import find, named_at_directories, own_attributes
from mdm_async.web.srm import over_json as srm_json
from mdm_async.web.srm.soap import over_soap as srm_soap
from mdm_async.web.tape import face as tape
from mdm_async.web.turls import transfer as turl


def application(house: House) -> web.Application:
    app = web.Application(
        middlewares=[counting.middleware, problem.middleware, on_behalf.middleware, begun.middleware]
    )
    app[HOUSE] = house
    app[CUSTODIANS] = house.custodians
    app[COPIES_HERE] = copies = Copies.of(house)
    house.near.append(copies.near)
    app.on_cleanup.append(lambda _: copies.end())
    app.on_response_prepare.append(problem.name_answer)
    app.on_response_prepare.append(cors.allow)
    for face in (
        archives,
        audit,
        cache,
        cohorts,
        consistency,
        find,
        health,
        image_keys,
        intake,
        keys,
        local_tokens,
        macaroons,
        manifests,
        mappings,
        mirrors,
        profiles,
        named_at_directories,
        own_attributes,
        replicas,
        rights,
        second_site,
        shredding,
        status,
        unsealing,
        authorization_server,
        storage_report,
        whoami,
        srm_json,
        srm_soap,
        tape,
        dav,
        dicomweb,
        turl,
    ):
        app.add_routes(face.routes())
    return app
