"""Transfer URLs: /t/<token>/<name> is read, written, given up. The token is the credential; no other is demanded."""

from collections.abc import Collection, Iterator
from contextlib import contextmanager

from aiohttp import web

from mdm_async.errors import Gone, MdmError, NotSupported
from mdm_async.images.parts import adler
from mdm_async.images.transfers import arrival, withdrawing
from mdm_async.names import Payer
from mdm_async.web.http.channel import is_secure, source_of
from mdm_async.web.http.credential import caller_of, shows_credential
from mdm_async.web.http.digest_fields import announced
from mdm_async.web.http.get import give
from mdm_async.web.http.house import HOUSE
from mdm_async.web.http.incoming import coming, demand_whole
from mdm_async.web.http.reply import json_reply

PATH = "/t/{token}/{name}"


def routes() -> list[web.AbstractRouteDef]:
    return [
        web.get(PATH, read, allow_head=False),
        web.head(PATH, read),
        web.put(PATH, write),
        web.route("COPY", PATH, copy),
        web.delete(PATH, remove),
    ]


async def read(request: web.Request) -> web.StreamResponse:
    """What the transfer URL serves: the view's bytes, or those of its sealed stream."""
    with _not_guessed(request) as token:
        warm = await request.app[HOUSE].warm.open(token)
    return await give(request, warm, await _writers(request) if request.method == "HEAD" else ())


async def _writers(request: web.Request) -> Collection[str]:
    """As whom who asks may have written the file. The URL is all that reading it takes, and a bad credential beside it
    takes nothing away; but whoever else has the URL is not told of what was sent."""
    if not is_secure(request) or not shows_credential(request):
        return ()
    try:
        return (await caller_of(request)).writers
    except MdmError:
        return ()


@contextmanager
def _not_guessed(request: web.Request) -> Iterator[str]:
    """Transfer URLs that are none count as requests without a credential. Raises TooManyRequests."""
    strangers, source = request.app[HOUSE].desk.strangers, source_of(request)
    token = request.match_info["token"]
    strangers.demand(source, token)
    try:
        yield token
    except Gone:
        strangers.count(source, token)
        raise
    strangers.know(token)


async def copy(request: web.Request) -> web.StreamResponse:
    """Clients of the grid ask for it first, and after 501 get the file and put it; 405 would end what they do."""
    raise NotSupported(
        "what a transfer URL stands for is got and put", remedy="copy between servers by their /dav/ URLs"
    )


async def write(request: web.Request) -> web.StreamResponse:
    """Take a file: 201 with size and ADLER32 of what arrived (unsealed).

    With `?force=yes` one that breaks PS3.10 too, for which the sender vouches.
    """
    house = request.app[HOUSE]
    demand_whole(request)
    digests = announced(request)
    with _not_guessed(request) as token:
        grant = await arrival.open_upload(house.judge, token)
    payer = Payer.of(grant.caller, grant.owner, source_of(request))
    with coming(request) as (body, cut), house.admission.taking(payer, grant, cut):
        received = await arrival.receive(
            house.intake,
            grant,
            body,
            length=request.content_length,
            secure=is_secure(request),
            payer=payer,
            source=source_of(request),
            digests=digests,
            force=request.query.get("force") == "yes",
        )
    checksum = adler.text(received.adler32)
    told = {"size": received.size, "adler32": checksum}
    return json_reply(request, told, 201, headers={"Digest": f"adler32={checksum}"})


async def remove(request: web.Request) -> web.Response:
    """Give an upload up: 204. gfal2 does it of one that failed."""
    house, source = request.app[HOUSE], source_of(request)
    with _not_guessed(request) as token:
        coming = house.admission.receiving
        await withdrawing.withdraw(house.desk, house.database, house.changed, token, source, coming)
    return web.Response(status=204, headers={"Cache-Control": "no-store"})
