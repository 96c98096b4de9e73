"""Preparing files to be read: rights, view, pin and transfer URL, thousands of SURLs in one round."""

import os
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from uuid import UUID, uuid4

from mdm_async.catalog import acl, audit, grants
from mdm_async.catalog.audit import Act
from mdm_async.catalog.database import Connection
from mdm_async.catalog.entries import Place
from mdm_async.catalog.grants import Grant
from mdm_async.catalog.tokens import digest
from mdm_async.crypt4gh.layout import SealedPart
from mdm_async.errors import BadRequest, Damaged, Forbidden, MdmError, NotFound
from mdm_async.images import view
from mdm_async.images.archive import Archive
from mdm_async.images.metrics import GRANTED
from mdm_async.images.record import ViewRecord
from mdm_async.images.sealed import SealedView, seal
from mdm_async.images.surls import resolve
from mdm_async.images.view import ReadyView
from mdm_async.keys.derive import SEED_BYTES
from mdm_async.names import IDENTIFIED, Caller, Right, View


@dataclass(frozen=True, slots=True)
class ReadTicket:
    """One file, pinned. Sizes in bytes; `size` and `adler32` are those of what the transfer URL serves."""

    surl: str
    token: str
    view: View
    size: int
    adler32: int
    pin: int
    plain_size: int
    plain_adler32: int
    sender_public: bytes | None = None
    sealed_parts: tuple[SealedPart, ...] = ()


@dataclass(frozen=True, slots=True)
class Prepared:
    """A request's token and, file by file, a ticket or why there is none."""

    request: UUID
    files: list[tuple[str, ReadTicket | MdmError]]


@dataclass(frozen=True, slots=True)
class Ask:
    """What a caller asks for: SURLs, a view for those that name none, pin (seconds), recipient's key."""

    surls: Sequence[str]
    view: View | None = None
    pin: int | None = None
    recipient: bytes | None = None
    description: str | None = None


@dataclass(frozen=True, slots=True)
class _Wanted:
    item: int
    surl: str
    place: Place
    image: UUID
    view: View


async def prepare(archive: Archive, caller: Caller, ask: Ask) -> Prepared:
    """Pin every file that the caller may read in the view asked for. One failing file fails no other."""
    pin = lifetime(archive, ask.pin)
    files: list[tuple[str, ReadTicket | MdmError]] = []
    answers: dict[int, ReadTicket | MdmError] = {}
    request = uuid4()
    async with archive.database.transaction(sync=False) as db:
        wanted = await _allowed(archive, db, caller, ask, answers)
        if ask.recipient is None:
            made = await _clear(archive, db, wanted, answers, pin)
        else:
            made = await _sealed(archive, db, wanted, answers, pin, ask.recipient, request)
        rows = [
            Grant(
                turl=digest(ticket.token),
                request=request,
                item=want.item,
                operation="get",
                state="pinned",
                caller=caller.name,
                token=caller.token,
                description=ask.description,
                surl=want.surl,
                life=float(pin),
                entry=want.place.ancestor.id,
                image=want.image,
                view=want.view,
                version=archive.version(want.view),
                recipient=ask.recipient,
                secret=secret,
                context=context,
            )
            for want, ticket, secret, context in made
        ]
        rows += [
            unserved_grant(request, item, "get", caller, ask.surls[item], why, pin, ask.description)
            for item, why in answers.items()
            if isinstance(why, MdmError)
        ]
        await grants.insert(db, rows)
        await audit.record(
            db,
            [
                Act(
                    caller.name,
                    "prepare get",
                    guid=w.place.ancestor.guid,
                    view=w.view,
                    details=_disclosed(ask),
                )
                for w, _, _, _ in made
            ],
        )
    GRANTED.labels("get").inc(len(made))
    files = [(surl, answers[item]) for item, surl in enumerate(ask.surls)]
    return Prepared(request, files)


def lifetime(archive: Archive, asked: int | None) -> int:
    """Seconds that a pin lives: what was asked for, within bounds."""
    settings = archive.settings.transfers
    return min(asked or settings.default_pin, settings.max_pin)


def unserved_grant(
    request: UUID,
    item: int,
    operation: str,
    caller: Caller,
    surl: str,
    why: MdmError | None,
    life: int,
    description: str | None,
) -> Grant:
    """An item without a transfer URL, kept so that the request's status can be asked for: failed, or done."""
    return Grant(
        turl=os.urandom(32),
        request=request,
        item=item,
        operation=operation,
        state="failed" if why else "done",
        caller=caller.name,
        token=caller.token,
        description=description,
        surl=surl,
        life=float(life),
        failure=why.srm if why else None,
        explanation=str(why) if why else None,
    )


async def _allowed(
    archive: Archive,
    db: Connection,
    caller: Caller,
    ask: Ask,
    answers: dict[int, ReadTicket | MdmError],
    *,
    delivered: bool = True,
) -> list[_Wanted]:
    wanted = []
    for item, found in enumerate(await resolve(db, ask.surls)):
        if isinstance(found, MdmError):
            answers[item] = found
            continue
        surl, place = found
        view_name = surl.view or ask.view or place.default_view
        try:
            if archive.version(view_name) is None:
                raise BadRequest("there is no such view here", remedy="ask for 'basic' or 'identified'")
            acl.demand(caller, place, Right.READ, view_name)
            if place.entry is None:
                raise NotFound()
            if place.entry.image is None:
                raise BadRequest("a directory cannot be read as a file", remedy="list it instead")
            if delivered:
                _demand_delivery(archive, view_name, ask.recipient)
        except MdmError as why:
            answers[item] = why
        else:
            wanted.append(_Wanted(item, ask.surls[item], place, place.entry.image, view_name))
    return wanted


def _demand_delivery(archive: Archive, view_name: View, recipient: bytes | None) -> None:
    policy = archive.settings.delivery
    delivery = policy.identified if view_name == IDENTIFIED else policy.deidentified
    if delivery == "sealed" and recipient is None:
        raise Forbidden(
            f"the view '{view_name}' is delivered sealed only",
            remedy='name a Crypt4GH recipient key: mdm get --sealed, or "recipient" in prepareToGet',
        )


_Made = list[tuple[_Wanted, ReadTicket, bytes | None, bytes | None]]


async def _clear(
    archive: Archive,
    db: Connection,
    wanted: list[_Wanted],
    answers: dict[int, ReadTicket | MdmError],
    pin: int,
) -> _Made:
    made: _Made = []
    records = await view.open_records(archive, db, [(want.image, want.view) for want in wanted])
    for want, opened in zip(wanted, records, strict=True):
        if not isinstance(opened, ViewRecord):
            answers[want.item] = opened
            continue
        ticket = ReadTicket(
            want.surl, _token(), want.view, opened.size, opened.adler32, pin, opened.size, opened.adler32
        )
        answers[want.item] = ticket
        made.append((want, ticket, None, None))
    return made


async def _sealed(
    archive: Archive,
    db: Connection,
    wanted: list[_Wanted],
    answers: dict[int, ReadTicket | MdmError],
    pin: int,
    recipient: bytes,
    request: UUID,
) -> _Made:
    made: _Made = []
    records = await view.open_records(archive, db, [(want.image, want.view) for want in wanted])
    ready = []
    for want, opened in zip(wanted, records, strict=True):
        if isinstance(opened, ViewRecord):
            ready.append(want)
        else:
            answers[want.item] = opened
    # Sealing needs the small parts themselves; a few at a time, so that a bulk request stays small in memory.
    for batch in (ready[i : i + 64] for i in range(0, len(ready), 64)):
        for want, loaded in zip(batch, await _loaded(archive, db, batch), strict=True):
            if isinstance(loaded, MdmError):
                answers[want.item] = loaded
                continue
            seed = os.urandom(SEED_BYTES)
            sealed = await archive.on_cipher_pool(partial(seal, loaded, recipient, seed))
            ticket = _sealed_ticket(want, loaded, sealed, pin)
            answers[want.item] = ticket
            made.append((want, ticket, archive.keys.wrap_grant(seed, request, want.item), sealed.context))
    return made


async def _loaded(
    archive: Archive, db: Connection, batch: Sequence[_Wanted]
) -> Sequence[ReadyView | MdmError]:
    """A batch at once; one by one when something in it is damaged, which then spoils no other's answer."""
    try:
        return await view.load(archive, db, [(want.image, want.view) for want in batch])
    except Damaged as why:
        if len(batch) == 1:
            return [why]
    return [one for want in batch for one in await _loaded(archive, db, [want])]


def _sealed_ticket(want: _Wanted, loaded: ReadyView, sealed: SealedView, pin: int) -> ReadTicket:
    return ReadTicket(
        want.surl,
        _token(),
        want.view,
        sealed.size,
        sealed.adler32,
        pin,
        loaded.size,
        loaded.adler32,
        sealed.sender_public,
        sealed.parts,
    )


def _token() -> str:
    return secrets.token_urlsafe(32)


def _disclosed(ask: Ask) -> dict[str, str]:
    """For the audit: whoever gets a first sealed byte holds that image's pixel key, whatever is revoked later."""
    return {"recipient": ask.recipient.hex()} if ask.recipient else {}


async def bring_online(
    archive: Archive, caller: Caller, ask: Ask
) -> tuple[UUID, list[tuple[str, MdmError | None]]]:
    """Ask that files be online, as all that is stored here is: the request, and why some cannot be read."""
    request, life = uuid4(), lifetime(archive, ask.pin)
    failed: dict[int, ReadTicket | MdmError] = {}
    async with archive.database.transaction(sync=False) as db:
        wanted = await _allowed(archive, db, caller, ask, failed, delivered=False)
        for want, opened in zip(
            wanted, await view.open_records(archive, db, [(w.image, w.view) for w in wanted]), strict=True
        ):
            if isinstance(opened, MdmError):
                failed[want.item] = opened
        outcomes = [
            (surl, why if isinstance(why := failed.get(item), MdmError) else None)
            for item, surl in enumerate(ask.surls)
        ]
        rows = [
            unserved_grant(request, item, "bring_online", caller, surl, why, life, ask.description)
            for item, (surl, why) in enumerate(outcomes)
        ]
        await grants.insert(db, rows)
    return request, outcomes
