"""Who a request's sender is taken for: POST /admin/v1/whoami."""

from datetime import UTC, datetime

from aiohttp import web

from mdm_async.errors import MdmError
from mdm_async.images.rights.standing import Standing, standing
from mdm_async.names import Scope
from mdm_async.web.admin.rights import PlaceForm
from mdm_async.web.http.asked import asked
from mdm_async.web.http.house import HOUSE
from mdm_async.web.http.reply import json_reply
from mdm_async.web.srm.json_renderer import Tree, tree, when
from mdm_async.web.srm.results import Files, OwnPermission


def routes() -> list[web.AbstractRouteDef]:
    return [web.post("/admin/v1/whoami", whoami)]


async def whoami(request: web.Request) -> web.Response:
    caller, form = await asked(request, PlaceForm)
    house = request.app[HOUSE]
    told = await standing(house.database, house.views, caller, form.surl)
    return json_reply(request, _tree(told))


def _tree(told: Standing) -> Tree:
    caller = told.caller
    return {
        "name": caller.name,
        "credential": caller.credential,
        "principals": sorted(caller.principals),
        "until": when(datetime.fromtimestamp(caller.until, UTC)) if caller.until is not None else None,
        "limited": caller.limited,
        "scopes": [_scope(scope) for scope in caller.scopes],
        "bound": None if caller.bound is None else _scope(caller.bound),
        "here": _here(told),
    }


def _here(told: Standing) -> Tree:
    """As checkPermission tells it."""
    if isinstance(told.rights, MdmError):
        own = OwnPermission.failed(told.surl, told.rights)
    else:
        own = OwnPermission(surl=told.surl, permission=told.rights.letters, views=told.rights.views)
    (file,) = tree(Files.done([own]))["files"]
    return dict(file)


def _scope(scope: Scope) -> Tree:
    """What the credential gives by itself."""
    views = sorted(scope.views) if scope.views is not None else None
    told: Tree = {"path": scope.path, "rights": "".join(sorted(scope.rights)), "views": views}
    return told | {"also": sorted(scope.also)} if scope.also else told
