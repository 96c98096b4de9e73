"""The operations of SRM v2.2 that begin and end transfers: prepareToGet, bringOnline, prepareToPut, putDone."""

from dataclasses import replace
from uuid import UUID

from mdm_async.errors import BadRequest, MdmError
from mdm_async.images.parts import adler
from mdm_async.images.transfers import download, publish, upload
from mdm_async.images.transfers.download import Ask
from mdm_async.images.transfers.pins import Answer, ReadTicket
from mdm_async.images.transfers.publish import Done
from mdm_async.images.transfers.staging import Waits
from mdm_async.images.transfers.upload import PutAsk, WriteTicket
from mdm_async.names import parse_view
from mdm_async.web.srm import forms as form
from mdm_async.web.srm.context import Context
from mdm_async.web.srm.results import (
    QUEUED,
    BringOnlineFile,
    Checksum,
    Files,
    GetFile,
    PublishedFile,
    PutFile,
    ReturnStatus,
    Sealed,
)
from mdm_async.web.turls.address import TurlAddress


async def prepare_to_get(context: Context, asked: form.PrepareToGet) -> Files[GetFile]:
    address = context.address(asked.transferProtocols, asked.recipient is not None)
    ask = replace(_ask(asked), cohort=asked.cohort)
    prepared = await download.prepare(
        context.desk,
        context.judge,
        context.warm,
        context.rounds,
        context.transfers,
        context.caller,
        ask,
        context.staging,
    )
    return Files.done(
        [_get(context, surl, one, address) for surl, one in prepared.files],
        _token(prepared.request),
    )


def _get(context: Context, surl: str, answer: Answer, address: TurlAddress) -> GetFile:
    if isinstance(answer, MdmError):
        return GetFile.failed(surl, answer)
    if isinstance(answer, Waits):
        queued = _queued(context, answer)
        return GetFile(surl=surl, status=queued, view=answer.view, estimated_wait=answer.seconds)
    return _pinned(surl, answer, address)


def _queued(context: Context, answer: Waits) -> ReturnStatus:
    """With what it waits for other than its turn, as later answers have it."""
    return ReturnStatus(QUEUED, context.staging.held_up(answer.archive) or None)


def _pinned(surl: str, ticket: ReadTicket, address: TurlAddress) -> GetFile:
    return GetFile(
        surl=surl,
        status=ReturnStatus("SRM_FILE_PINNED"),
        transfer_url=address.url(ticket.token),
        size=ticket.size,
        remaining_pin_time=ticket.pin,
        checksum=Checksum(adler.text(ticket.adler32)),
        view=ticket.view,
        sealed=None
        if ticket.sender_public is None
        else Sealed(
            sender_public_key=ticket.sender_public,
            plain_size=ticket.plain_size,
            plain_checksum=Checksum(adler.text(ticket.plain_adler32)),
            parts=ticket.sealed_parts,
        ),
    )


async def bring_online(context: Context, asked: form.PrepareToGet) -> Files[BringOnlineFile]:
    request, outcomes = await download.bring_online(
        context.desk,
        context.judge,
        context.warm.shelf,
        context.transfers,
        context.caller,
        _ask(asked),
        context.staging,
    )
    return Files.done(
        [
            BringOnlineFile(surl=surl, status=_queued(context, one), estimated_wait=one.seconds)
            if isinstance(one, Waits)
            else BringOnlineFile.of(surl, one)
            for surl, one in outcomes
        ],
        _token(request),
    )


def _token(request: UUID | None) -> str | None:
    """What was refused as a whole is not kept, and there is nothing to ask about it."""
    return None if request is None else str(request)


def _ask(asked: form.PrepareToGet) -> Ask:
    view = parse_view(asked.view) if asked.view is not None else None
    surls = [file.surl for file in asked.files]
    return Ask(surls, view, asked.desiredPinLifeTime, asked.recipient_key(), asked.userRequestDescription)


async def prepare_to_put(context: Context, asked: form.PrepareToPut) -> Files[PutFile]:
    address = context.address(asked.transferProtocols, True)
    ask = PutAsk(
        [(file.surl, file.expectedFileSize) for file in asked.files],
        asked.overwrite,
        asked.desiredPinLifeTime,
        asked.userRequestDescription,
        asked.createParents,
    )
    prepared = await upload.prepare(
        context.desk, context.intake, context.judge.callers, context.transfers, context.caller, ask
    )
    return Files.done(
        [
            PutFile.failed(surl, one) if isinstance(one, MdmError) else _open(surl, one, address)
            for surl, one in prepared.files
        ],
        _token(prepared.request),
    )


def _open(surl: str, ticket: WriteTicket, address: TurlAddress) -> PutFile:
    return PutFile(
        surl=surl,
        status=ReturnStatus("SRM_SPACE_AVAILABLE"),
        transfer_url=address.url(ticket.token),
        upload_recipient=ticket.recipient,
        remaining_pin_time=ticket.pin,
    )


async def put_done(context: Context, asked: form.PutDone) -> Files[PublishedFile]:
    done = [Done(file.surl, file.size, file.sha256) for file in asked.files or ()]
    done += [Done(surl) for surl in asked.surls or ()]
    if not done:
        raise BadRequest("putDone names no file", remedy='give "surls", or "files" for sealed uploads')
    found = await publish.put_done(
        context.desk,
        context.judge,
        context.intake.placing,
        context.name_guard,
        context.caller,
        asked.token(),
        done,
    )
    return Files.done(
        [
            PublishedFile.failed(surl, one)
            if isinstance(one, MdmError)
            else PublishedFile(surl=surl, guid=one[0], path=one[1])
            for surl, one in found
        ],
        asked.requestToken,
    )
