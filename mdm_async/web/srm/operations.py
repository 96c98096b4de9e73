"""The operations of SRM v2.2: one table from name to request form and verb, whatever the encoding on the wire."""

from base64 import b64encode
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from pydantic import BaseModel

from mdm_async import __version__
from mdm_async.catalog.grants.grants import Grant
from mdm_async.errors import BadRequest, MdmError, NotFound, UnknownRequest
from mdm_async.images.names import directories, listing, moving, removal
from mdm_async.images.parts import adler
from mdm_async.images.transfers import download, publish, requests, upload
from mdm_async.images.transfers.download import Ask
from mdm_async.images.transfers.pins import ReadTicket
from mdm_async.images.transfers.publish import Done
from mdm_async.images.transfers.upload import PutAsk, WriteTicket
from mdm_async.names import View, parse_view
from mdm_async.web.http.house import HOUSE
from mdm_async.web.srm import forms as form
from mdm_async.web.srm import permissions
from mdm_async.web.srm.answers import Answer, Tree, detail, failure, items, many, one, summary, when
from mdm_async.web.srm.context import Context
from mdm_async.web.turls.address import TurlAddress


@dataclass(frozen=True, slots=True)
class Operation:
    form: type[BaseModel]
    run: Callable[[Context, Any], Awaitable[Answer]]


async def _ping(context: Context, asked: form.Nothing) -> Answer:
    about = {"backend_type": "mdm_async", "backend_version": __version__}
    return one(versionInfo="v2.2", otherInfo=[{"key": key, "value": value} for key, value in about.items()])


async def _get_transfer_protocols(context: Context, asked: form.Nothing) -> Answer:
    offered = TurlAddress.protocols(context.request.app[HOUSE])
    return one(protocolInfo=[{"transferProtocol": protocol} for protocol in offered])


async def _ls(context: Context, asked: form.Ls) -> Answer:
    context.bounded(asked.surls)
    found = await listing.ls(
        context.archive.database, context.archive.shelf, context.caller, asked.surls, asked.page()
    )
    return many([(surl, o if isinstance(o, MdmError) else detail(o)) for surl, o in found])


async def _mkdir(context: Context, asked: form.Mkdir) -> Answer:
    guid = await directories.mkdir(
        context.archive.database, context.caller, asked.surl, parents=asked.parents
    )
    return one(guid=str(guid))


async def _rmdir(context: Context, asked: form.Rmdir) -> Answer:
    await removal.rmdir(
        context.archive.database,
        context.archive.changed,
        context.caller,
        asked.surl,
        recursive=asked.recursive,
    )
    return one()


async def _rm(context: Context, asked: form.Surls) -> Answer:
    context.bounded(asked.surls)
    return _plain(
        await removal.rm(context.archive.database, context.archive.changed, context.caller, asked.surls)
    )


async def _mv(context: Context, asked: form.Mv) -> Answer:
    archive = context.archive
    await moving.mv(
        archive.database,
        archive.views,
        archive.settings.delivery,
        archive.changed,
        context.caller,
        asked.fromSURL,
        asked.toSURL,
    )
    return one()


async def _prepare_to_put(context: Context, asked: form.PrepareToPut) -> Answer:
    context.bounded(asked.files)
    address = context.address(asked.transferProtocols, sealed=True)
    ask = PutAsk(
        [(file.surl, file.expectedFileSize) for file in asked.files],
        asked.overwrite,
        asked.desiredPinLifeTime,
        asked.userRequestDescription,
        asked.createParents,
    )
    house = context.request.app[HOUSE]
    prepared = await upload.prepare(
        house.intake, house.judge.callers, house.archive.settings.transfers, context.caller, ask
    )

    def line(ticket: WriteTicket) -> Tree:
        return {
            "status": {"statusCode": "SRM_SPACE_AVAILABLE"},
            "transferURL": address.url(ticket.token),
            "uploadRecipient": b64encode(ticket.recipient).decode(),
            "remainingPinTime": ticket.pin,
        }

    files = [(surl, o if isinstance(o, MdmError) else line(o)) for surl, o in prepared.files]
    return many(files, requestToken=str(prepared.request))


async def _put_done(context: Context, asked: form.PutDone) -> Answer:
    done = [Done(file.surl, file.size, file.sha256) for file in asked.files or ()]
    done += [Done(surl) for surl in asked.surls or ()]
    if not done:
        raise BadRequest("putDone names no file", remedy='give "surls", or "files" for sealed uploads')
    house = context.request.app[HOUSE]
    token = _token(asked.requestToken)
    found = await publish.put_done(house.judge, house.intake.placing, context.caller, token, done)
    return many(
        [(s, o if isinstance(o, MdmError) else {"guid": str(o[0]), "path": o[1]}) for s, o in found],
        requestToken=asked.requestToken,
    )


async def _prepare_to_get(context: Context, asked: form.PrepareToGet) -> Answer:
    context.bounded(asked.files)
    address = context.address(asked.transferProtocols, sealed=asked.recipient is not None)
    house = context.request.app[HOUSE]
    prepared = await download.prepare(
        house.judge, house.warm, house.archive.settings.transfers, context.caller, _ask(asked)
    )

    def line(ticket: ReadTicket) -> Tree:
        tree: Tree = {
            "status": {"statusCode": "SRM_FILE_PINNED"},
            "transferURL": address.url(ticket.token),
            "fileSize": ticket.size,
            "remainingPinTime": ticket.pin,
            "checkSumType": "ADLER32",
            "checkSumValue": adler.text(ticket.adler32),
            "view": ticket.view,
        }
        if ticket.sender_public is not None:
            tree |= {
                "senderPublicKey": b64encode(ticket.sender_public).decode(),
                "plainSize": ticket.plain_size,
                "plainCheckSumType": "ADLER32",
                "plainCheckSumValue": adler.text(ticket.plain_adler32),
                "sealedParts": [
                    {"plainSize": part.plain_size, "noncePrefix": part.prefix.hex(), "padded": part.padded}
                    for part in ticket.sealed_parts
                ],
            }
        return tree

    files = [(surl, o if isinstance(o, MdmError) else line(o)) for surl, o in prepared.files]
    return many(files, requestToken=str(prepared.request))


async def _bring_online(context: Context, asked: form.PrepareToGet) -> Answer:
    context.bounded(asked.files)
    house = context.request.app[HOUSE]
    request, outcomes = await download.bring_online(
        house.judge, house.warm.shelf, house.archive.settings.transfers, context.caller, _ask(asked)
    )
    return many([(surl, why or {}) for surl, why in outcomes], requestToken=str(request))


def _status_of(operation: str) -> Callable[[Context, form.OfRequest], Awaitable[Answer]]:
    async def run(context: Context, asked: form.OfRequest) -> Answer:
        request = _token(asked.requestToken)
        found = await requests.status(context.archive, context.caller, request, operation)
        return items(_of(found, asked.surls), request)

    return run


async def _release_files(context: Context, asked: form.Release) -> Answer:
    if asked.requestToken is not None:
        token = _token(asked.requestToken)
        found = await requests.release(context.archive, context.caller, token, asked.surls)
        return _done(_of(found, asked.surls))
    if not asked.surls:
        raise BadRequest(
            "releaseFiles names neither a request nor files", remedy='give "requestToken" or "surls"'
        )
    context.bounded(asked.surls)
    return _plain(await requests.release_surls(context.archive, context.caller, asked.surls))


async def _abort(context: Context, asked: form.OfRequest) -> Answer:
    found = await requests.abort(context.archive, context.caller, _token(asked.requestToken), asked.surls)
    return _done(_of(found, asked.surls))


async def _extend_file_life_time(context: Context, asked: form.Extend) -> Answer:
    token = _token(asked.requestToken)
    seconds = asked.newPinLifeTime or asked.newFileLifeTime
    found = await requests.extend(context.archive, context.caller, token, asked.surls, seconds)
    live = {item.surl: {"newPinLifeTime": int(item.life)} for item in found}
    gone = UnknownRequest("the file's pin has ended", remedy="prepare the file again")
    if not live:
        raise gone
    named = asked.surls or list(live)
    return many([(surl, live.get(surl, gone)) for surl in named], requestToken=asked.requestToken)


async def _get_request_tokens(context: Context, asked: form.RequestTokens) -> Answer:
    found = await requests.listing(context.archive, context.caller, asked.userRequestDescription)
    return one(
        requestTokens=[{"requestToken": str(token), "createdAtTime": when(made)} for token, made in found]
    )


async def _get_request_summary(context: Context, asked: form.RequestSummary) -> Answer:
    context.bounded(asked.requestTokens)
    summaries: list[Tree] = []
    for text in asked.requestTokens:
        try:
            token = _token(text)
            summaries.append(summary(await requests.summary(context.archive, context.caller, token), token))
        except MdmError as why:
            summaries.append({"requestToken": text, "status": failure(why)})
    return one(requestSummaries=summaries)


OPERATIONS: dict[str, Operation] = {
    "ping": Operation(form.Nothing, _ping),
    "getTransferProtocols": Operation(form.Nothing, _get_transfer_protocols),
    "ls": Operation(form.Ls, _ls),
    "mkdir": Operation(form.Mkdir, _mkdir),
    "rmdir": Operation(form.Rmdir, _rmdir),
    "rm": Operation(form.Surls, _rm),
    "mv": Operation(form.Mv, _mv),
    "checkPermission": Operation(form.Surls, permissions.check_permission),
    "getPermission": Operation(form.GetPermission, permissions.get_permission),
    "setPermission": Operation(form.SetPermission, permissions.set_permission),
    "prepareToPut": Operation(form.PrepareToPut, _prepare_to_put),
    "statusOfPutRequest": Operation(form.OfRequest, _status_of("put")),
    "putDone": Operation(form.PutDone, _put_done),
    "prepareToGet": Operation(form.PrepareToGet, _prepare_to_get),
    "statusOfGetRequest": Operation(form.OfRequest, _status_of("get")),
    "bringOnline": Operation(form.PrepareToGet, _bring_online),
    "statusOfBringOnlineRequest": Operation(form.OfRequest, _status_of("bring_online")),
    "releaseFiles": Operation(form.Release, _release_files),
    "abortRequest": Operation(form.OfRequest, _abort),
    "abortFiles": Operation(form.AbortFiles, _abort),
    "extendFileLifeTime": Operation(form.Extend, _extend_file_life_time),
    "getRequestTokens": Operation(form.RequestTokens, _get_request_tokens),
    "getRequestSummary": Operation(form.RequestSummary, _get_request_summary),
}


def _of(found: Sequence[Grant], surls: list[str] | None) -> list[tuple[str, Grant | MdmError]]:
    """A request's items: all, or those of the SURLs named, and why there is none for some of these."""
    if surls is None:
        return [(item.surl, item) for item in found]
    held = {item.surl: item for item in found}
    absent = NotFound("the request has no such SURL")
    return [(surl, held.get(surl, absent)) for surl in dict.fromkeys(surls)]


def _done(found: list[tuple[str, Grant | MdmError]]) -> Answer:
    return many([(surl, item if isinstance(item, MdmError) else {}) for surl, item in found])


def _plain(found: list[tuple[str, MdmError | None]]) -> Answer:
    return many([(surl, why or {}) for surl, why in found])


def _ask(asked: form.PrepareToGet) -> Ask:
    view: View | None = parse_view(asked.view) if asked.view is not None else None
    surls = [file.surl for file in asked.files]
    return Ask(surls, view, asked.desiredPinLifeTime, asked.recipient_key(), asked.userRequestDescription)


def _token(text: str) -> UUID:
    try:
        return UUID(text)
    except ValueError:
        raise UnknownRequest() from None
