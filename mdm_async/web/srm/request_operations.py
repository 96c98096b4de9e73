"""The operations of SRM v2.2 on requests made before: how they stand, released, aborted, extended, told of."""

from collections.abc import Awaitable, Callable, Sequence
from typing import Literal, TypeVar

from mdm_async.catalog.grants.grants import Grant
from mdm_async.catalog.grants.states import LIVE, WAITING
from mdm_async.errors import BadRequest, MdmError, UnknownRequest
from mdm_async.images.transfers import requests
from mdm_async.images.transfers.requests import Item
from mdm_async.images.transfers.spellings import by_name
from mdm_async.web.srm import copy_operations
from mdm_async.web.srm import forms as form
from mdm_async.web.srm.context import Context
from mdm_async.web.srm.results import (
    IN_PROGRESS,
    QUEUED,
    SUCCESS,
    BringOnlineFile,
    ExtendedFile,
    FileCounts,
    Files,
    GetFile,
    PutFile,
    RequestSummaries,
    RequestSummary,
    RequestToken,
    RequestTokens,
    ReturnStatus,
    SurlStatus,
)

Standing = TypeVar("Standing", GetFile, PutFile, BringOnlineFile)
Found = TypeVar("Found")

_STATES = {
    ("get", "queued"): QUEUED,
    ("get", "staging"): IN_PROGRESS,
    ("get", "pinned"): "SRM_FILE_PINNED",
    ("put", "open"): "SRM_SPACE_AVAILABLE",
    ("put", "uploaded"): "SRM_SPACE_AVAILABLE",
    ("put", "done"): SUCCESS.code,
    ("bring_online", "queued"): QUEUED,
    ("bring_online", "staging"): IN_PROGRESS,
    ("bring_online", "done"): SUCCESS.code,
}
_REQUEST_TYPES: dict[str, Literal["PREPARE_TO_GET", "PREPARE_TO_PUT", "BRING_ONLINE"]] = {
    "get": "PREPARE_TO_GET",
    "put": "PREPARE_TO_PUT",
    "bring_online": "BRING_ONLINE",
}


def status_of(
    operation: str, file: type[Standing], stands: Callable[[Context, str, Item], Standing]
) -> Callable[[Context, form.OfRequest], Awaitable[Files[Standing]]]:
    async def run(context: Context, asked: form.OfRequest) -> Files[Standing]:
        request = asked.token()
        found = await requests.status(
            context.judge,
            context.keys,
            context.cipher,
            context.staging,
            context.caller,
            request,
            operation,
        )
        items = _of(found, [item.grant.surl for item in found], asked.surls)
        failed = sum(isinstance(item, MdmError) or item.grant.state == "failed" for _, item in items)
        files = [
            file.failed(surl, item) if isinstance(item, MdmError) else stands(context, surl, item)
            for surl, item in items
        ]
        return Files.standing(files, failed, str(request))

    return run


def get_stands(context: Context, surl: str, item: Item) -> GetFile:
    return GetFile(
        surl=surl,
        status=_status(item.grant, item.held_up),
        transfer_url=_url(context, item),
        remaining_pin_time=_remaining(item.grant),
        view=item.grant.view,
        sender_public_key=item.public,
        estimated_wait=item.wait,
    )


def put_stands(context: Context, surl: str, item: Item) -> PutFile:
    return PutFile(
        surl=surl,
        status=_status(item.grant),
        transfer_url=_url(context, item),
        upload_recipient=item.public,
        remaining_pin_time=_remaining(item.grant),
    )


def bring_online_stands(context: Context, surl: str, item: Item) -> BringOnlineFile:
    return BringOnlineFile(
        surl=surl,
        status=_status(item.grant, item.held_up),
        remaining_pin_time=_remaining(item.grant),
        estimated_wait=item.wait,
    )


def _status(item: Grant, held_up: str = "") -> ReturnStatus:
    return ReturnStatus(_code(item), item.explanation or held_up or None)


def _remaining(item: Grant) -> int | None:
    return int(item.life) if item.state in LIVE and item.life > 0 else None


def _url(context: Context, item: Item) -> str | None:
    if item.token is None:
        return None
    may_be_sealed = item.grant.operation == "put" or item.grant.recipient is not None
    return context.address(None, may_be_sealed).url(item.token)


def _code(item: Grant) -> str:
    """How one item of a request stands, as SRM status code."""
    if item.state == "failed":
        return item.failure or "SRM_FAILURE"
    if item.state == "released":
        return "SRM_RELEASED"
    if item.state == "aborted":
        return "SRM_ABORTED"
    if item.state != "done" and item.life <= 0:
        return "SRM_FILE_LIFETIME_EXPIRED"
    return _STATES[item.operation, item.state]


async def release_files(context: Context, asked: form.Release) -> Files[SurlStatus]:
    token, desk, database, changed = asked.token(), context.desk, context.database, context.changed
    if token is not None:
        found = await requests.release(desk, context.rounds, changed, context.caller, token, asked.surls)
        return _done(_of(found, [item.surl for item in found], asked.surls))
    if not asked.surls:
        raise BadRequest(
            "releaseFiles names neither a request nor files", remedy='give "requestToken" or "surls"'
        )
    released = await requests.release_surls(desk, database, changed, context.caller, asked.surls)
    return Files.done([SurlStatus.of(surl, why) for surl, why in released])


async def abort(context: Context, asked: form.OfRequest) -> Files[SurlStatus]:
    if asked.requestToken.startswith(copy_operations.PREFIX):
        return copy_operations.abort(context, asked.requestToken, asked.surls)
    database, changed = context.database, context.changed
    found = await requests.abort(context.desk, database, changed, context.caller, asked.token(), asked.surls)
    return _done(_items(found, asked.surls))


def _done(found: Sequence[tuple[str, object]]) -> Files[SurlStatus]:
    return Files.done(
        [SurlStatus.of(surl, one if isinstance(one, MdmError) else None) for surl, one in found]
    )


async def extend_file_life_time(context: Context, asked: form.Extend) -> Files[ExtendedFile]:
    seconds = asked.newPinLifeTime or asked.newFileLifeTime
    database, changed = context.database, context.changed
    found = await requests.extend(
        context.desk,
        database,
        changed,
        context.transfers,
        context.staging.cache,
        context.caller,
        asked.token(),
        asked.surls,
        seconds,
    )
    gone = UnknownRequest("the file's pin has ended", remedy="prepare the file again")
    if not found:
        raise gone
    return Files.done(
        [
            ExtendedFile.failed(surl, gone)
            if isinstance(item, MdmError)
            else ExtendedFile(surl=surl, pin_lifetime=int(item.life))
            for surl, item in _items(found, asked.surls or None)
        ],
        asked.requestToken,
    )


async def get_request_tokens(context: Context, asked: form.RequestTokens) -> RequestTokens:
    found = await requests.listing(context.database, context.caller, asked.userRequestDescription)
    return RequestTokens(tokens=tuple(RequestToken(token, made) for token, made in found))


async def get_request_summary(context: Context, asked: form.RequestSummary) -> RequestSummaries:
    return RequestSummaries(summaries=tuple([await _summary(context, text) for text in asked.requestTokens]))


async def _summary(context: Context, text: str) -> RequestSummary:
    try:
        if text.startswith(copy_operations.PREFIX):
            counts = await copy_operations.counts(context, text)
            return RequestSummary(token=text, counts=counts)
        token = form.request_token(text)
        items = await requests.summary(context.database, context.caller, token)
    except MdmError as why:
        return RequestSummary(token=text, status=ReturnStatus.of(why))
    failed = sum(item.state in ("failed", "aborted") for item in items)
    waiting = sum(item.state in (*WAITING, "open", "uploaded") for item in items)
    kind = _REQUEST_TYPES[items[0].operation]
    counts = FileCounts(kind, len(items), len(items) - failed - waiting, waiting, failed)
    return RequestSummary(token=str(token), counts=counts)


def _items(found: Sequence[Grant], surls: list[str] | None) -> list[tuple[str, Grant | MdmError]]:
    return _of(found, [item.surl for item in found], surls)


def _of(
    found: Sequence[Found], names: Sequence[str], surls: list[str] | None
) -> list[tuple[str, Found | MdmError]]:
    """A request's items, of these names: all, or those of the SURLs named, and why there is none for some of these."""
    if surls is None:
        return list(zip(names, found, strict=True))
    return [*by_name(zip(names, found, strict=True), surls)]
