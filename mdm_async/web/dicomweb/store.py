"""STOW-RS (PS3.18 §10.5): instances are stored, each by itself and for good, as they come."""

from collections.abc import AsyncIterator, Callable, Mapping
from email.message import Message
from functools import partial
from typing import Final

from aiohttp import web

from mdm_async.dicom.filemeta import MetaReader, is_uid
from mdm_async.dicom.sop_common import SopCommon
from mdm_async.dicom.stored_classes import STORAGE_CLASSES, TRANSFER_SYNTAXES
from mdm_async.errors import (
    BadRequest,
    Forbidden,
    Malformed,
    MdmError,
    MethodNotAllowed,
    NoParent,
    TooLarge,
    TooManyRequests,
    UnsupportedMediaType,
)
from mdm_async.images.transfers.filing import FileAsk, file, landed
from mdm_async.names import IDENTIFIED, Caller
from mdm_async.pacs.statuses import CLASS_NOT_SUPPORTED, NOT_UNDERSTOOD, SYNTAX_NOT_SUPPORTED, status_of
from mdm_async.web.dicomweb import accept
from mdm_async.web.dicomweb.address import base_of, wanted
from mdm_async.web.dicomweb.asked import Named, named
from mdm_async.web.dicomweb.coming_parts import ComingParts
from mdm_async.web.dicomweb.stored import HELD_EACH, Outcome, document, status_of_all
from mdm_async.web.http.credential import caller_of, identified_caller_of
from mdm_async.web.http.house import HOUSE, House
from mdm_async.web.http.incoming import coming
from mdm_async.web.http.reply import reply

_MOST: Final = 20_000
"""Instances of one request."""
_BOUNDARY: Final = 200
"""Characters of a boundary. RFC 2046 §5.1.1 allows 70, and Orthanc sends 73."""


async def store(request: web.Request) -> web.Response:
    """200 when all are stored, 202 when some are, 409 when none is, with what became of each."""
    caller = await caller_of(request)
    house, about = request.app[HOUSE], named(request)
    # All this before a byte of the body is asked for.
    await _demand_landing(house, house.mapping.apply(caller))
    kind = _kind(request, about)
    boundary = _boundary(request)
    (await house.intake.room(caller.payer)).demand(None)
    outcomes: list[Outcome] = []
    refused: dict[type[MdmError], MdmError] = {}
    with house.budget.holding(caller.payer, 0) as held, coming(request) as (body, cut):
        parts = ComingParts(boundary, body)
        while (headers := await parts.next()) is not None:
            if len(outcomes) == _MOST:
                raise TooLarge(
                    f"a request may have {_MOST} instances; those are stored",
                    remedy="send the others by themselves",
                )
            held.grow_to((len(outcomes) + 1) * HELD_EACH)
            outcomes.append(await _one(request, headers, parts, cut, about.uids.study, refused))
        if not outcomes:
            raise BadRequest("the request has no instance", remedy="send each as a part: application/dicom")
        base = base_of(request, Named(about.uids, None, IDENTIFIED))
        text = await house.cipher.run(partial(document, outcomes, base, kind))
        return reply(request, text, kind, status_of_all(outcomes), errors=refused.values())


async def refuse(request: web.Request) -> web.Response:
    """Nothing is stored as a view: these are made of what is stored."""
    await identified_caller_of(request)
    raise MethodNotAllowed(
        "a view is not stored", remedy="POST the originals to /dicom-web/studies, without naming a view"
    )


async def _demand_landing(house: House, caller: Caller) -> None:
    """Raises as `landed`; who may not store is told which right that takes, wherever it is and whether it is there."""
    try:
        await landed(house.intake, caller, house.landing.directory)
    except (NoParent, Forbidden) as why:
        told = type(why)(
            f"{caller.name} may store nothing by STOW-RS",
            remedy="it takes the right 'w' on the directory that dicomweb.directory names; ask an administrator: "
            "mdm token create --rights w --path DIRECTORY, or mdm acl set",
        )
        told.refusal = why.refusal
        raise told from why


def _kind(request: web.Request, about: Named) -> str:
    """Of the answer. Raises BadRequest, NotAcceptable, TooManyRequests."""
    if about.path is not None:
        raise BadRequest(
            "what is stored lands where the server says", remedy="leave ?path= out: see dicomweb.directory"
        )
    kind = accept.of_stored(wanted(request))
    if request.app[HOUSE].draining:
        raise TooManyRequests("the server is shutting down", retry_after=10)
    return kind


def _boundary(request: web.Request) -> str:
    """Raises UnsupportedMediaType, BadRequest."""
    said = Message()
    said["Content-Type"] = request.headers.get("Content-Type", "")
    kind = said.get_param("type", accept.DICOM)
    if said.get_content_type() != accept.RELATED or str(kind).lower() != accept.DICOM:
        raise UnsupportedMediaType(
            "instances are not taken in this form",
            remedy=f'send {accept.RELATED}; type="{accept.DICOM}", a DICOM file in each part',
        )
    boundary = said.get_param("boundary")
    if not isinstance(boundary, str) or not 0 < len(boundary) <= _BOUNDARY or not boundary.isascii():
        raise BadRequest("the Content-Type names no boundary of the parts")
    return boundary


async def _one(
    request: web.Request,
    headers: Mapping[str, str],
    parts: ComingParts,
    cut: Callable[[], None],
    study: str | None,
    refused: dict[type[MdmError], MdmError],
) -> Outcome:
    """What became of a part, of which nothing but the others is left when it failed. Raises what `parts` fail of."""
    house, said = request.app[HOUSE], None
    if headers.get("content-type", accept.DICOM).partition(";")[0].strip().lower() != accept.DICOM:
        return Outcome(None, NOT_UNDERSTOOD)
    try:
        meta, body = await _begun(parts.data())
        said = SopCommon(meta.sop_class or "", meta.sop_instance or "")
        if not (is_uid(said.sop_class) and is_uid(said.instance)):
            said = None
            raise Malformed("the file meta information does not say which instance it is")
        if said.sop_class not in STORAGE_CLASSES:
            return Outcome(said, CLASS_NOT_SUPPORTED)
        if meta.transfer_syntax not in TRANSFER_SYNTAXES:
            return Outcome(said, SYNTAX_NOT_SUPPORTED)
        # By what the credential gives now: others of the request may have taken an hour.
        caller = await caller_of(request)
        ask = FileAsk(house.landing, said, "STOW-RS", caller.writer, study)
        filed = await file(house.intake, house.judge, house.admission, caller, ask, body, cut)
    except MdmError as why:
        if parts.failed is not None:
            raise
        # One of each kind is told, without what it holds: there may be thousands.
        why.__traceback__ = why.__context__ = None
        refused.setdefault(type(why), why)
        return Outcome(said, status_of(why))
    return Outcome(said, study=filed.study, series=filed.series)


async def _begun(body: AsyncIterator[bytes]) -> tuple[MetaReader, AsyncIterator[bytes]]:
    """What a file says of itself before its data set, and the file from its beginning. Raises NotDicom."""
    meta = MetaReader()
    async for chunk in body:
        if meta.feed(chunk):
            break
    else:
        meta.close()
    return meta, _again(bytes(meta.data), body)


async def _again(first: bytes, rest: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    yield first
    async for chunk in rest:
        yield chunk
