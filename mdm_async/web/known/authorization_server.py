"""Where gfal-token gets macaroons when it is told of this server as an issuer: discovery (RFC 8414) and a token
endpoint with client credentials (RFC 6749 §4.4).

    POST /token   grant_type=client_credentials&expire_in=3600&scopes=LIST:/dav/vo/study DOWNLOAD:/dav/vo/study

A scope is an activity of macaroons and the path of a URL of this server. Who asks is known by the request, as
everywhere.
"""

from urllib.parse import parse_qsl

from aiohttp import web

from mdm_async.errors import BadRequest, UnsupportedMediaType
from mdm_async.images.rights import macaroons
from mdm_async.images.rights.macaroons import Made, Wanted
from mdm_async.names import Caller, Lfn, parse_surl
from mdm_async.web.http import problem
from mdm_async.web.http.body import incoming
from mdm_async.web.http.credential import identified_caller_of, kept_credential
from mdm_async.web.http.house import HOUSE
from mdm_async.web.http.named import DAV, Named
from mdm_async.web.http.reply import json_reply
from mdm_async.web.http.turn import turn
from mdm_async.web.srm.forms import Nothing
from mdm_async.web.turls.address import TurlAddress

_TOKEN = "/token"  # noqa: S105
_FORM = "application/x-www-form-urlencoded"
_FIELDS = 16
_LONGEST = 16 << 10
"""Bytes of a form: it is read at once."""
_CENTURY = 100 * 365 * 86400


def routes() -> list[web.AbstractRouteDef]:
    return [
        # Of an issuer with a path its path comes behind (RFC 8414 §3.1).
        web.get("/.well-known/oauth-authorization-server{issuer:(?:/.*)?}", metadata),
        web.get("/.well-known/openid-configuration", metadata),
        web.post(_TOKEN, token),
    ]


async def metadata(request: web.Request) -> web.Response:
    house = request.app[HOUSE]
    base = TurlAddress.choose(request, house, TurlAddress.protocols(house), False).base
    return json_reply(
        request,
        {
            "issuer": base,
            "token_endpoint": base + _TOKEN,
            "grant_types_supported": ["client_credentials"],
            "response_types_supported": ["token"],
            "token_endpoint_auth_methods_supported": ["tls_client_auth"],
        },
    )


async def token(request: web.Request) -> web.Response:
    caller = await identified_caller_of(request)
    with incoming(request, caller, _LONGEST) as held:
        if request.content_type != _FORM:
            raise UnsupportedMediaType(
                "a token is asked for by a form", remedy=f"send 'Content-Type: {_FORM}'"
            )
        body = bytes(await held.whole())
    caller = await identified_caller_of(request)
    try:
        made = await _made(request, caller, _fields(body))
    except BadRequest as why:
        # RFC 6749 §5.2
        return problem.answer(request, why, beside={"error": "invalid_request"})
    return json_reply(request, {"access_token": made.text, "token_type": "bearer", "id": str(made.id)})


def _fields(body: bytes) -> dict[str, str]:
    """Raises BadRequest."""
    try:
        pairs = parse_qsl(body.decode(), keep_blank_values=True, strict_parsing=True, max_num_fields=_FIELDS)
    except ValueError:
        raise BadRequest("the request's body is no form of a few fields") from None
    fields = dict(pairs)
    if len(fields) != len(pairs):
        raise BadRequest("the form has a field twice")
    return fields


async def _made(request: web.Request, caller: Caller, fields: dict[str, str]) -> Made:
    house = request.app[HOUSE]
    if fields.get("grant_type") != "client_credentials":
        raise BadRequest(
            "only client credentials are granted a token", remedy="send grant_type=client_credentials"
        )
    path, activities = _wanted(fields.get("scopes") or fields.get("scope") or "")
    seconds = fields.get("expire_in")
    if seconds is not None and not (
        seconds.isascii() and seconds.isdigit() and 0 < int(seconds[:12]) < _CENTURY
    ):
        raise BadRequest("expire_in is no number of seconds")
    wanted = Wanted(path, [f"activity:{','.join(activities)}"], None if seconds is None else float(seconds))
    shown = kept_credential(request, caller)
    location = TurlAddress.choose(request, house, TurlAddress.protocols(house), False).base
    async with turn(request, caller, Nothing()):
        return await macaroons.create(
            house.database, house.keys, house.settings.limits, caller, shown, wanted, location
        )


def _wanted(scopes: str) -> tuple[Lfn, list[str]]:
    """The one path that all scopes name, and what is to be done there. Raises BadRequest."""
    pairs = [scope.partition(":")[::2] for scope in scopes.split()]
    paths = {parse_surl(Named.of(path, DAV).surl).lfn for _, path in pairs}
    if len(paths) != 1:
        raise BadRequest(
            "the scopes do not name one path",
            remedy="send scopes=LIST:/dav/vo/study DOWNLOAD:/dav/vo/study, of one file or directory",
        )
    return paths.pop(), [activity for activity, _ in pairs]
