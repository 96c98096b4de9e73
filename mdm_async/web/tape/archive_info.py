"""Where the bytes of files are: /archiveinfo."""

from typing import Any

from aiohttp import web

from mdm_async.catalog.holdings.locality import Locality
from mdm_async.errors import BadPath, MdmError
from mdm_async.images.names.localities import localities
from mdm_async.web.http import problem
from mdm_async.web.http.asked import asked
from mdm_async.web.http.house import HOUSE
from mdm_async.web.http.reply import json_reply
from mdm_async.web.http.turn import turn
from mdm_async.web.tape.forms import Paths
from mdm_async.web.tape.paths import surl_of
from mdm_async.web.tape.staging import BASE

_LOCALITIES = {
    Locality.ONLINE: "DISK",
    Locality.NEARLINE: "TAPE",
    Locality.ONLINE_AND_NEARLINE: "DISK_AND_TAPE",
    Locality.UNAVAILABLE: "UNAVAILABLE",
    Locality.LOST: "LOST",
}
"""Where a file came from, and can come from again, is to clients what a tape is."""


def routes() -> list[web.AbstractRouteDef]:
    return [web.post(f"{BASE}/archiveinfo{{slash:/?}}", archive_info)]


async def archive_info(request: web.Request) -> web.Response:
    """200 whatever became of each file, unless none of them has a name that could be one."""
    caller, form = await asked(request, Paths)
    house = request.app[HOUSE]
    async with turn(request, caller, form):
        surls = [surl_of(path) for path in form.paths]
        found = [one for _, one in await localities(house.database, caller, surls)]
        errors = [one for one in found if isinstance(one, MdmError)]
        if all(isinstance(one, BadPath) for one in found):
            return problem.answer(request, errors[0], causes=errors)
        told = [_told(path, one) for path, one in zip(form.paths, found, strict=True)]
        return json_reply(request, told, errors=errors)


def _told(path: str, found: Locality | MdmError) -> dict[str, Any]:
    if isinstance(found, MdmError):
        return {"path": path, "error": str(found)}
    return {"path": path, "locality": _LOCALITIES[found]}
