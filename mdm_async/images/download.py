"""Preparing files to be read: rights, view, pin and transfer URL, thousands of SURLs in one round."""

import os
import secrets
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from uuid import UUID, uuid4

from mdm_async.catalog import acl, audit, grants
from mdm_async.catalog.audit import Act
from mdm_async.catalog.database import Connection
from mdm_async.catalog.entries import Entry
from mdm_async.catalog.grants import Grant
from mdm_async.catalog.tokens import digest
from mdm_async.crypt4gh.layout import SealedPart
from mdm_async.errors import BadRequest, Forbidden, MdmError, NotFound
from mdm_async.images import view
from mdm_async.images.archive import Archive
from mdm_async.images.live import LiveGrants
from mdm_async.images.metrics import GRANTED
from mdm_async.images.record import ViewRecord
from mdm_async.images.sealed import SealedView, seal
from mdm_async.images.surls import resolve
from mdm_async.images.view import ReadyView
from mdm_async.keys.derive import SEED_BYTES
from mdm_async.names import IDENTIFIED, Caller, Right, View

_WARM = 64
"""Files of a request that are kept ready for their first GET on this node."""


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
    entry: Entry
    image: UUID
    view: View


@dataclass(frozen=True, slots=True)
class _Made:
    """A pinned file: its row, its answer, and what it serves if that was loaded."""

    want: _Wanted
    grant: Grant
    ticket: ReadTicket
    clear: ReadyView | None = None
    sealed: SealedView | None = None


async def prepare(archive: Archive, live: LiveGrants, caller: Caller, ask: Ask) -> Prepared:
    """Pin every file that the caller may read in the view asked for. One failing file fails no other."""
    pin = lifetime(archive, ask.pin)
    answers: dict[int, ReadTicket | MdmError] = {}
    request = uuid4()
    asked = time.monotonic()
    async with archive.database.transaction(sync=False) as db:
        wanted = await _allowed(archive, db, caller, ask, answers)
        pins = _Pins(archive, caller, ask, request, pin)
        made = await (pins.clear if ask.recipient is None else pins.sealed)(db, wanted, answers)
        answers.update({one.want.item: one.ticket for one in made})
        rows = [one.grant for one in made]
        rows += [
            unserved_grant(request, item, "get", caller, ask.surls[item], why, pin, ask.description)
            for item, why in answers.items()
            if isinstance(why, MdmError)
        ]
        await grants.insert(db, rows)
        details = {"recipient": ask.recipient.hex()} if ask.recipient else {}
        acts = [
            Act(caller.name, "prepare get", guid=one.want.entry.guid, view=one.want.view, details=details)
            for one in made
        ]
        await audit.record(db, acts)
    for one in made:
        if one.clear is not None or one.sealed is not None:
            live.admit(one.grant, one.clear, one.sealed, asked)
    GRANTED.labels("get").inc(len(made))
    return Prepared(request, [(surl, answers[item]) for item, surl in enumerate(ask.surls)])


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
    await archive.views.refresh(db)
    for item, found in enumerate(await resolve(db, ask.surls)):
        if isinstance(found, MdmError):
            answers[item] = found
            continue
        surl, place = found
        view_name = surl.view or ask.view or place.default_view
        try:
            if not archive.views.exists(view_name):
                raise BadRequest(
                    "there is no such view here", remedy="`mdm profile list` names those that are"
                )
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
            wanted.append(_Wanted(item, ask.surls[item], place.entry, place.entry.image, view_name))
    return wanted


def _demand_delivery(archive: Archive, view_name: View, recipient: bytes | None) -> None:
    policy = archive.settings.delivery
    delivery = policy.identified if view_name == IDENTIFIED else policy.deidentified
    if delivery == "sealed" and recipient is None:
        raise Forbidden(
            f"the view '{view_name}' is delivered sealed only",
            remedy='name a Crypt4GH recipient key: mdm get --sealed, or "recipient" in prepareToGet',
        )


@dataclass(frozen=True, slots=True)
class _Pins:
    """Makes the pins of one request."""

    archive: Archive
    caller: Caller
    ask: Ask
    request: UUID
    life: int

    async def clear(
        self, db: Connection, wanted: list[_Wanted], answers: dict[int, ReadTicket | MdmError]
    ) -> list[_Made]:
        """The first few are loaded whole, to be warm; of all others the record is enough."""
        warm, cold = wanted[:_WARM], wanted[_WARM:]
        loaded: list[ReadyView | ViewRecord | MdmError] = []
        loaded += await view.load(self.archive, db, _views(warm))
        loaded += await view.open_records(self.archive, db, _views(cold)) if cold else []
        made = []
        for want, one in zip(wanted, loaded, strict=True):
            if isinstance(one, MdmError):
                answers[want.item] = one
                continue
            token = secrets.token_urlsafe(32)
            ticket = ReadTicket(
                want.surl, token, want.view, one.size, one.adler32, self.life, one.size, one.adler32
            )
            made.append(
                _Made(
                    want,
                    self._grant(want, token, one.version),
                    ticket,
                    one if isinstance(one, ReadyView) else None,
                )
            )
        return made

    async def sealed(
        self, db: Connection, wanted: list[_Wanted], answers: dict[int, ReadTicket | MdmError]
    ) -> list[_Made]:
        """Sealing needs the small parts themselves; a few at a time, so that a bulk request stays small in memory."""
        assert self.ask.recipient is not None
        made: list[_Made] = []
        for batch in (wanted[start : start + _WARM] for start in range(0, len(wanted), _WARM)):
            for want, one in zip(batch, await view.load(self.archive, db, _views(batch)), strict=True):
                if isinstance(one, MdmError):
                    answers[want.item] = one
                    continue
                seed = os.urandom(SEED_BYTES)
                sealed = await self.archive.on_cipher_pool(partial(seal, one, self.ask.recipient, seed))
                pinned = self._sealed(want, one, sealed, seed)
                # What is warm is kept whole; of the rest only what the answer tells.
                made.append(pinned if len(made) < _WARM else replace(pinned, sealed=None))
        return made

    def _sealed(self, want: _Wanted, plain: ReadyView, sealed: SealedView, seed: bytes) -> _Made:
        token = secrets.token_urlsafe(32)
        ticket = ReadTicket(
            want.surl,
            token,
            want.view,
            sealed.size,
            sealed.adler32,
            self.life,
            plain.size,
            plain.adler32,
            sealed.sender_public,
            sealed.parts,
        )
        wrapped = self.archive.keys.wrap_grant(seed, self.request, want.item)
        return _Made(
            want, self._grant(want, token, plain.version, wrapped, sealed.context), ticket, None, sealed
        )

    def _grant(
        self,
        want: _Wanted,
        token: str,
        version: str,
        secret: bytes | None = None,
        context: bytes | None = None,
    ) -> Grant:
        return Grant(
            turl=digest(token),
            request=self.request,
            item=want.item,
            operation="get",
            state="pinned",
            caller=self.caller.name,
            token=self.caller.token,
            description=self.ask.description,
            surl=want.surl,
            life=float(self.life),
            entry=want.entry.id,
            image=want.image,
            view=want.view,
            version=version,
            recipient=self.ask.recipient,
            secret=secret,
            context=context,
        )


def _views(wanted: Sequence[_Wanted]) -> list[tuple[UUID, View]]:
    return [(want.image, want.view) for want in wanted]


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
