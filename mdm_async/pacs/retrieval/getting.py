"""C-GET (PS3.4 §C.4.3): the archive stores what is asked for over the association that asks for it."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Final

from mdm_async.dicom.stored_classes import TRANSFER_SYNTAXES
from mdm_async.errors import WrongContent
from mdm_async.pacs.dimse import commands
from mdm_async.pacs.dimse.commands import C_GET, C_STORE, MEDIUM, PRIORITY, RESPONSE, Command
from mdm_async.pacs.dimse.pdus import AbortReason, Broken
from mdm_async.pacs.dimse.proposing import Context, Proposed
from mdm_async.pacs.dimse.received_file import received_file
from mdm_async.pacs.dimse.requestor import Requestor
from mdm_async.pacs.dimse.wire import Silent
from mdm_async.pacs.parts import Event, PartBegins, PartData, PartEnds
from mdm_async.pacs.retrieval import finding, identifiers
from mdm_async.pacs.retrieval.finding import once
from mdm_async.pacs.retrieval.identifiers import ENCODINGS, GET, INSTANCE, Keys
from mdm_async.pacs.retrieval.telling import SUCCESS, demand_done, is_pending, not_offered
from mdm_async.pacs.source import FETCH_SECONDS

_FIRST: Final = ("1.2.840.10008.1.2.1", "1.2.840.10008.1.2")
"""Transfer syntaxes that an archive may take for any instance that it keeps in no other of them."""


def proposed(sop_class: str) -> list[Proposed]:
    """A context for each transfer syntax that an instance may be stored in, so that it need not be sent in another.

    Some archives want whoever retrieves to be one who may search.
    """
    syntaxes = [*_FIRST, *sorted(TRANSFER_SYNTAXES.difference(_FIRST))]
    return [
        finding.PROPOSED,
        Proposed(GET, tuple(ENCODINGS)),
        *(Proposed(sop_class, (syntax,), scp=True) for syntax in syntaxes),
    ]


async def fetched(requestor: Requestor, level: str, keys: Keys) -> AsyncGenerator[Event, None]:
    """Each instance as a part, which is a file; they end once the archive has said that these were all.

    Raises NotFound when it ends without an instance; WrongContent when another comes than the one that `keys` names;
    PeerFailed, SourceAway.
    """
    asking = requestor.context(GET)
    if asking is None:
        raise not_offered("C-GET")
    id_, has_come = requestor.next_id(), False
    asked = commands.request(C_GET, id_, GET, has_data_set=True, more={PRIORITY: MEDIUM})
    await requestor.send(asking, asked, once(identifiers.encoded(level, keys, asking.syntax)))
    until = asyncio.get_running_loop().time() + FETCH_SECONDS
    while True:
        try:
            async with asyncio.timeout_at(until):
                context, command = await requestor.receive()
        except TimeoutError:
            raise Silent from None
        if command.field == C_STORE:
            _demand_asked_for(keys.get(INSTANCE, command.instance), command, context)
            yield PartBegins({})
            async with aclosing(requestor.data_set()) as data_set:
                async for chunk in received_file(command, context.syntax, data_set):
                    yield PartData(chunk)
            yield PartEnds()
            await requestor.send(context, commands.response(command, SUCCESS))
            has_come = True
        elif command.field != C_GET | RESPONSE or command.answered != id_:
            raise Broken(AbortReason.UNEXPECTED_PARAMETER, "something else than an answer to a C-GET")
        else:
            await requestor.messages.skip_data_set()
            if not is_pending(command.status):
                demand_done("C-GET", command.status, has_come=has_come)
                return


def _demand_asked_for(instance: str, command: Command, context: Context) -> None:
    """Raises WrongContent, Broken."""
    if not context.scp or command.sop_class != context.abstract or not command.has_data_set:
        raise Broken(AbortReason.UNEXPECTED_PARAMETER, "a C-STORE that is not as was agreed")
    if command.instance != instance:
        raise WrongContent("the archive sent another instance than the one asked for")
