"""srmCopy: files copied between here and another server, or from one name here to another.

The token of a request holds those of its copies, which the node that runs them knows.
"""

import asyncio
from dataclasses import dataclass
from typing import Final
from uuid import UUID

from mdm_async.errors import BadRequest, MdmError, NotSupported, UnknownRequest
from mdm_async.images.names.copying import Copier
from mdm_async.images.transfers.spellings import by_name
from mdm_async.web.copying.asking import CopyAsk, Direction
from mdm_async.web.copying.carried import carried
from mdm_async.web.copying.copies import Copies, KnownCopy
from mdm_async.web.copying.other_side import OtherSide
from mdm_async.web.srm import forms as form
from mdm_async.web.srm.context import Context
from mdm_async.web.srm.results import IN_PROGRESS, CopiedFile, FileCounts, Files, ReturnStatus, SurlStatus

PREFIX: Final = "copy:"
_SOON: Final = 1.0
"""Seconds that an answer waits for copies to end."""


async def copy(context: Context, asked: form.Copy) -> Files[CopiedFile]:
    if context.caller.is_anonymous and len(asked.files) > 1:
        # The request itself is counted already.
        context.desk.strangers.ask(context.caller.payer.worker, len(asked.files) - 1)
    begun = [await _begun(context, asked, file, first=not at) for at, file in enumerate(asked.files)]
    deadline = asyncio.get_running_loop().time() + _SOON
    files = []
    for file, one in zip(asked.files, begun, strict=True):
        status = ReturnStatus()
        if isinstance(one, UUID):
            left = max(0.0, deadline - asyncio.get_running_loop().time())
            status = _status(await _copies(context).settled(context.caller, one, left))
        elif one is not None:
            status = ReturnStatus.of(one)
        files.append(CopiedFile(surl=file.sourceSURL, target=file.targetSURL, status=status))
    return _told(files, _token([one for one in begun if isinstance(one, UUID)]))


def _token(copies: list[UUID]) -> str | None:
    return PREFIX + ".".join(one.hex for one in copies) if copies else None


async def _begun(
    context: Context, asked: form.Copy, file: form.CopyFile, *, first: bool
) -> UUID | MdmError | None:
    """The copy that was begun, or why none was; None: it is done."""
    try:
        ask = _ask(asked, file)
        if ask is not None:
            return _copies(context).begin(context.caller, ask)
        copier = Copier(
            context.database, context.views, context.delivery, context.changed, context.name_guard
        )
        async with context.desk.turns.turn(context.caller.payer, 1, first=first):
            await copier.copy(
                context.caller, file.sourceSURL, file.targetSURL, overwrite=asked.overwrite, deep=False
            )
    except MdmError as why:
        return why
    return None


def _ask(asked: form.Copy, file: form.CopyFile) -> CopyAsk | None:
    """None: both names are here. Raises BadRequest, NotSupported."""
    source, target = _Side.of(file.sourceSURL), _Side.of(file.targetSURL)
    if source.is_here and target.is_here:
        return None
    if not source.is_here and not target.is_here:
        raise BadRequest("neither side of a copy is here", remedy="name one of them by its SURL")
    other, direction = (source, Direction.PULL) if target.is_here else (target, Direction.PUSH)
    here = file.targetSURL if target.is_here else file.sourceSURL
    headers = carried((f"TransferHeader{one.key}", one.value) for one in asked.storageSystemInfo)
    return CopyAsk(direction, here, OtherSide.parse(other.text), headers, overwrite=asked.overwrite)


@dataclass(frozen=True, slots=True)
class _Side:
    text: str
    is_here: bool

    @classmethod
    def of(cls, text: str) -> "_Side":
        scheme, found, _ = text.partition("://")
        if found and scheme not in ("srm", "https", "davs"):
            raise NotSupported(
                "files are copied by https only", remedy="name the other side by its https:// URL"
            )
        return cls(text, not found or scheme == "srm")


async def status_of_copy(context: Context, asked: form.OfCopy) -> Files[CopiedFile]:
    files = []
    for one in copies_of(asked.requestToken):
        known = _copies(context).known(context.caller, one)
        source, target = known.ask.surl, str(known.ask.other.url)
        if known.ask.direction is Direction.PULL:
            source, target = target, source
        files.append(CopiedFile(surl=source, target=target, status=_status(known)))
    return _told(files, asked.requestToken)


async def counts(context: Context, token: str) -> FileCounts:
    """Raises UnknownRequest."""
    files = (await status_of_copy(context, form.OfCopy(requestToken=token))).files
    failed = sum(file.status.error is not None for file in files)
    waiting = sum(file.status.code == IN_PROGRESS for file in files)
    return FileCounts("COPY", len(files), len(files) - failed - waiting, waiting, failed)


def abort(context: Context, token: str, surls: list[str] | None) -> Files[SurlStatus]:
    """All of them, or those of the files named, by either side's name. Raises UnknownRequest."""
    copies, caller = _copies(context), context.caller
    known = {one: copies.known(caller, one).ask for one in copies_of(token)}
    if surls is None:
        for one in known:
            copies.abort(caller, one)
        return Files.done([])
    names = [(name, one) for one, ask in known.items() for name in (ask.surl, str(ask.other.url))]
    found = by_name(names, surls)
    for _, named in found:
        if isinstance(named, UUID):
            copies.abort(caller, named)
    return Files.done(
        [SurlStatus.of(surl, one if isinstance(one, MdmError) else None) for surl, one in found]
    )


def copies_of(token: str) -> list[UUID]:
    """Raises UnknownRequest."""
    try:
        return [UUID(hex=one) for one in token.removeprefix(PREFIX).split(".")]
    except ValueError:
        raise UnknownRequest() from None


def _copies(context: Context) -> Copies:
    if context.copies is None:
        raise NotSupported("files are not copied to or from other servers here")
    return context.copies


def _status(known: KnownCopy) -> ReturnStatus:
    if known.failure is not None:
        return ReturnStatus.of(known.failure)
    return ReturnStatus() if known.ended.is_set() else ReturnStatus(IN_PROGRESS)


def _told(files: list[CopiedFile], token: str | None) -> Files[CopiedFile]:
    failed = sum(file.status.error is not None for file in files)
    if token is None:
        return Files.done(files)
    return Files.standing(files, failed, token)
