"""Transfer URLs: GET, HEAD and PUT of /t/<token>/<name>. The token is the credential; nothing else is asked for."""

from aiohttp import web

from mdm_async.catalog.grants.grants import Grant
from mdm_async.errors import MdmError
from mdm_async.images.parts import adler
from mdm_async.images.transfers import arrival
from mdm_async.names import Payer
from mdm_async.web.http import problem
from mdm_async.web.http.channel import is_secure, source_of
from mdm_async.web.http.get import get
from mdm_async.web.http.house import HOUSE
from mdm_async.web.http.incoming import coming, demand_whole
from mdm_async.web.http.reply import json_reply

PATH = "/t/{token}/{name}"
_GRANT = web.RequestKey("grant", Grant)


def routes() -> list[web.AbstractRouteDef]:
    return [
        web.get(PATH, read, allow_head=False),
        web.head(PATH, read),
        web.put(PATH, write, expect_handler=expect_continue),
    ]


async def read(request: web.Request) -> web.StreamResponse:
    """What the transfer URL serves: the view's bytes, or those of its sealed stream."""
    warm = await request.app[HOUSE].warm.open(request.match_info["token"])
    return await get(request, warm.served, warm.read)


async def expect_continue(request: web.Request) -> web.Response | None:
    """Expect: 100-continue (RFC 9110 §10.1.1): a file that cannot be taken is refused before it is sent."""
    if request.headers["Expect"].lower() != "100-continue":
        return _without_body(web.Response(status=417))
    try:
        request[_GRANT] = await _admitted(request)
    except MdmError as error:
        # The middleware comes after this.
        problem.log(error)
        return _without_body(problem.answer(request, error))
    await request.writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
    # What was written is no part of the answer; aiohttp counts it otherwise.
    request.writer.output_size = 0
    return None


def _without_body(answer: web.Response) -> web.Response:
    """The client may send the body or not, so what follows on this connection cannot be told apart."""
    answer.force_close()
    return answer


async def _admitted(request: web.Request) -> Grant:
    """The grant to take a file under, as far as can be told without its bytes."""
    demand_whole(request)
    house = request.app[HOUSE]
    grant = await arrival.open_upload(house.judge, request.match_info["token"])
    house.admission.demand_slot(_payer(request, grant))
    return grant


def _payer(request: web.Request, grant: Grant) -> Payer:
    return Payer.of(grant.caller, grant.owner, source_of(request))


async def write(request: web.Request) -> web.StreamResponse:
    """Take a file: 201 with size and ADLER32 of what arrived (unsealed).

    With `?force=yes` one that breaks PS3.10 too, for which the sender vouches.
    """
    house = request.app[HOUSE]
    grant = request.get(_GRANT) or await _admitted(request)
    payer = _payer(request, grant)
    with coming(request) as (body, cut), house.admission.taking(payer, grant, cut):
        received = await arrival.receive(
            house.intake,
            grant,
            body,
            length=request.content_length,
            secure=is_secure(request),
            payer=payer,
            source=source_of(request),
            force=request.query.get("force") == "yes",
        )
    checksum = adler.text(received.adler32)
    told = {"size": received.size, "adler32": checksum}
    return json_reply(request, told, 201, headers={"Digest": f"adler32={checksum}"})
