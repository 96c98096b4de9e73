"""C-MOVE of one instance to this server (PS3.4 §C.4.2): the archive stores it over an association of its own."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Any, Final

from mdm_async.images.parts.pacs_source import PacsSource
from mdm_async.pacs.dimse import commands
from mdm_async.pacs.dimse.awaited import Arrival
from mdm_async.pacs.dimse.commands import C_MOVE, DESTINATION, MEDIUM, PRIORITY, RESPONSE
from mdm_async.pacs.dimse.pdus import AbortReason, Broken
from mdm_async.pacs.dimse.proposing import Proposed
from mdm_async.pacs.dimse.requestor import Requestor
from mdm_async.pacs.dimse.wire import Silent
from mdm_async.pacs.retrieval import finding, identifiers
from mdm_async.pacs.retrieval.finding import once
from mdm_async.pacs.retrieval.identifiers import ENCODINGS, MOVE
from mdm_async.pacs.retrieval.telling import demand_done, is_pending, not_offered

PROPOSED: Final = (finding.PROPOSED, Proposed(MOVE, tuple(ENCODINGS)))
"""As in `getting`."""


async def fetched(
    requestor: Requestor, source: PacsSource, arrival: Arrival, destination: str, patience: float
) -> AsyncGenerator[bytes, None]:
    """The file, chunk by chunk, as it arrives at the listener; it ends once the archive has said that it is done.

    `patience`: seconds until it must have begun to come, and until the archive tells of its end. `requestor` must be
    patient for as long as the whole may take: nothing need be said there meanwhile.
    Raises NotFound when it ends without an instance; PeerFailed, SourceAway.
    """
    asking = requestor.context(MOVE)
    if asking is None:
        raise not_offered("C-MOVE")
    more: dict[int, int | str] = {PRIORITY: MEDIUM, DESTINATION: destination}
    asked = commands.request(C_MOVE, arrival.id, MOVE, has_data_set=True, more=more)
    await requestor.send(asking, asked, once(identifiers.of_instance(source, asking.syntax)))
    ending = asyncio.create_task(_status(requestor, arrival.id))
    either: set[asyncio.Future[Any]] = {ending, arrival.begun}
    try:
        await asyncio.wait(either, timeout=patience, return_when=asyncio.FIRST_COMPLETED)
        has_come = arrival.begun.done()
        if has_come:
            async with aclosing(arrival.begun.result().file()) as chunks:
                async for chunk in chunks:
                    yield chunk
        elif not ending.done():
            raise Silent
        await asyncio.wait({ending}, timeout=patience)
        if not ending.done():
            raise Silent
        demand_done("C-MOVE", ending.result(), has_come=has_come)
    finally:
        ending.cancel()
        await asyncio.gather(ending, return_exceptions=True)


async def _status(requestor: Requestor, id_: int) -> int:
    """How the C-MOVE ended."""
    while True:
        _, answer = await requestor.receive()
        await requestor.messages.skip_data_set()
        if answer.field != C_MOVE | RESPONSE or answer.answered != id_:
            raise Broken(AbortReason.UNEXPECTED_PARAMETER, "something else than an answer to a C-MOVE")
        if not is_pending(answer.status):
            return answer.status
