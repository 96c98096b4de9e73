"""The routes of the Tape REST API."""

from aiohttp import web

from mdm_async.web.tape import archive_info, discovery, staging


def routes() -> list[web.AbstractRouteDef]:
    return [*staging.routes(), *archive_info.routes(), *discovery.routes()]
