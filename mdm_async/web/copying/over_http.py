"""COPY between servers (HTTP third-party copy): `Source:` pulls a file, `Destination:` pushes it.

What can be refused before another server is asked is a status of its own. After that the answer is 202, with markers
until its last line says what came of the copy; a client that goes away ends it, and nothing stays.
"""

import asyncio

from aiohttp import web

from mdm_async.errors import BadRequest, MdmError, NotSupported
from mdm_async.names import Caller
from mdm_async.web.copying import markers
from mdm_async.web.copying.asking import CopyAsk, Direction
from mdm_async.web.copying.carried import carried
from mdm_async.web.copying.copies import COPIES_HERE, Copies
from mdm_async.web.copying.other_side import OtherSide
from mdm_async.web.copying.progress import Progress
from mdm_async.web.http import problem

_BOOLEANS = {"true": True, "false": False}


def copy_ask(request: web.Request, surl: str) -> CopyAsk:
    """What the header fields of a COPY ask for. Raises BadRequest, NotSupported."""
    fields = request.headers
    sources, destinations = fields.getall("Source", []), fields.getall("Destination", [])
    if len(sources) + len(destinations) != 1:
        raise BadRequest("a copy has one other side", remedy="send either Source or Destination, once")
    if fields.get("Credential", "none").strip().lower() != "none":
        raise NotSupported(
            "nobody can delegate a credential to this server",
            remedy="send 'Credential: none', and TransferHeaderAuthorization for the other server",
        )
    overwrite = fields.get("Overwrite", "T").strip().upper()
    if overwrite not in ("T", "F"):
        raise BadRequest("Overwrite is neither T nor F")
    required = fields.get("RequireChecksumVerification", "").strip().lower()
    if required and required not in _BOOLEANS:
        raise BadRequest("RequireChecksumVerification is neither true nor false")
    return CopyAsk(
        Direction.PULL if sources else Direction.PUSH,
        surl,
        OtherSide.parse((sources or destinations)[0].strip()),
        carried(fields.items()),
        overwrite=overwrite == "T",
        digest_required=_BOOLEANS.get(required),
    )


async def third_party_copy(request: web.Request, caller: Caller, surl: str) -> web.StreamResponse:
    """Raises as `copy_ask`, and as `Copies.run` while no other server has been asked."""
    copies = request.app[COPIES_HERE]
    ask, progress = copy_ask(request, surl), Progress()
    copy = asyncio.create_task(_outcome(copies, caller, ask, progress))
    try:
        begun = asyncio.create_task(progress.begun.wait())
        try:
            await asyncio.wait([copy, begun], return_when=asyncio.FIRST_COMPLETED)
        finally:
            begun.cancel()
        if copy.done() and not progress.begun.is_set():
            failure = copy.result()
            assert failure is not None
            raise failure
        return await _told(request, caller, copy, progress, copies.settings.marker_seconds)
    finally:
        copy.cancel()
        await asyncio.gather(copy, return_exceptions=True)


async def _outcome(copies: Copies, caller: Caller, ask: CopyAsk, progress: Progress) -> MdmError | None:
    """Why it failed."""
    try:
        await copies.run(caller, ask, progress)
    except MdmError as why:
        return why
    except Exception as error:
        problem.log(error)
        return MdmError("an unexpected failure; the server's log knows more")
    return None


async def _told(
    request: web.Request,
    caller: Caller,
    copy: "asyncio.Task[MdmError | None]",
    progress: Progress,
    seconds: float,
) -> web.StreamResponse:
    answer = web.StreamResponse(status=202, headers={"Cache-Control": "no-store"})
    answer.content_type = markers.MEDIA_TYPE
    await answer.prepare(request)
    while not copy.done():
        await answer.write(markers.marker(progress))
        await asyncio.wait([copy], timeout=seconds)
    await answer.write(markers.marker(progress))
    failure = copy.result()
    if failure is not None:
        request.app[COPIES_HERE].note(failure, caller)
    await answer.write(markers.failure(failure) if failure is not None else markers.SUCCESS)
    await answer.write_eof()
    return answer
