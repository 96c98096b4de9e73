"""Preparing files to be read: rights, view, pin and transfer URL, thousands of SURLs in one round."""

import os
import time
from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID, uuid4

from mdm_async.catalog.grants import grants
from mdm_async.catalog.grants.grants import Grant
from mdm_async.catalog.rights import acl, recipients
from mdm_async.catalog.trail.acts import Act
from mdm_async.errors import BadRequest, MdmError, NotFound
from mdm_async.images.archive import Archive
from mdm_async.images.metrics import GRANTED
from mdm_async.images.rights.delivery import demand_delivery, demands_sealed
from mdm_async.images.surls import resolve
from mdm_async.images.transfers.pins import Pins, ReadTicket, Wanted
from mdm_async.images.transfers.warm import WarmTurls
from mdm_async.names import Caller, Right, View
from mdm_async.postgres.database import Connection


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


async def prepare(archive: Archive, warm: WarmTurls, caller: Caller, ask: Ask) -> Prepared:
    """Pin every file that the caller may read in the view asked for. One failing file fails no other."""
    pin = lifetime(archive, caller, ask.pin)
    answers: dict[int, ReadTicket | MdmError] = {}
    request = uuid4()
    who = await archive.callers.id_of(caller)
    asked = time.monotonic()
    async with archive.database.acquire() as db:
        wanted = await _allowed(archive, db, caller, ask, answers)
        pins = Pins(archive.shelf, archive.keys, archive.cipher, caller, who, request, pin, ask.description)
        made = await pins.make(db, wanted, answers)
        answers.update({one.want.item: one.ticket for one in made})
        rows = [one.grant for one in made]
        rows += [
            unserved_grant(request, item, "get", caller, ask.surls[item], why, pin, ask.description)
            for item, why in answers.items()
            if isinstance(why, MdmError)
        ]
        await grants.insert_audited(db, rows, [_act(caller, one.want) for one in made])
    for one in made:
        if one.clear is not None or one.sealed is not None:
            warm.admit(one.grant, one.clear, one.sealed, asked, (one.want.epoch, caller.generation))
    GRANTED.labels("get").inc(len(made))
    return Prepared(request, [(surl, answers[item]) for item, surl in enumerate(ask.surls)])


def _act(caller: Caller, want: Wanted) -> Act:
    details = {"recipient": want.recipient.hex()} if want.recipient is not None else {}
    return Act(caller, "prepare get", guid=want.entry.guid, view=want.view, details=details)


def lifetime(archive: Archive, caller: Caller, asked: int | None) -> int:
    """Seconds that a pin lives: what was asked for, within bounds, and no longer than the caller's credential."""
    settings = archive.settings.transfers
    life = min(asked or settings.default_pin, settings.max_pin)
    return life if caller.until is None else max(1, min(life, int(caller.until - time.time())))


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
        owner=caller.owner,
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
) -> list[Wanted]:
    wanted = []
    await archive.views.refresh(db)
    registered = _Registered(db, caller)
    for item, found in enumerate(await resolve(db, caller, ask.surls)):
        if isinstance(found, MdmError):
            answers[item] = found
            continue
        surl, place = found
        named = surl.view or ask.view
        view_name = named or place.default_view
        try:
            if named is not None:
                _demand_view(archive, named)
            acl.demand(caller, place, Right.READ, named)
            if place.entry is None:
                raise NotFound()
            # Not before: the default view of what is hidden is hidden.
            _demand_view(archive, view_name)
            if place.entry.image is None:
                raise BadRequest("a directory cannot be read as a file", remedy="list it instead")
            recipient = ask.recipient
            if (
                delivered
                and recipient is None
                and demands_sealed(archive.settings.delivery, place, view_name)
            ):
                recipient = await registered.key()
                demand_delivery(archive.settings.delivery, place, view_name, recipient)
        except MdmError as why:
            answers[item] = why
        else:
            entry, image = place.entry, place.entry.image
            wanted.append(Wanted(item, ask.surls[item], entry, image, view_name, recipient, place.epoch))
    return wanted


def _demand_view(archive: Archive, name: View) -> None:
    if not archive.views.exists(name):
        raise BadRequest("there is no such view here", remedy="`mdm profile list` names those that are")


class _Registered:
    """The key registered for a caller, asked for once: their own, or else that of their most special group."""

    def __init__(self, db: Connection, caller: Caller) -> None:
        self._db, self._caller = db, caller
        self._key: bytes | None = None
        self._asked = False

    async def key(self) -> bytes | None:
        if not self._asked:
            keys = await recipients.keys_of(self._db, [self._caller.name, *self._caller.principals])
            order = sorted(keys, key=lambda who: (who != self._caller.name, -len(who), who))
            self._key = keys[order[0]] if order else None
            self._asked = True
        return self._key


async def bring_online(
    archive: Archive, caller: Caller, ask: Ask
) -> tuple[UUID, list[tuple[str, MdmError | None]]]:
    """Ask that files be online, as all that is stored here is: the request, and why some cannot be read."""
    request, life = uuid4(), lifetime(archive, caller, ask.pin)
    failed: dict[int, ReadTicket | MdmError] = {}
    async with archive.database.acquire() as db:
        wanted = await _allowed(archive, db, caller, ask, failed, delivered=False)
        for want, opened in zip(
            wanted, await archive.shelf.open_records(db, [(w.image, w.view) for w in wanted]), strict=True
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
        acts = [
            Act(caller, "bring online", guid=want.entry.guid, view=want.view)
            for want in wanted
            if want.item not in failed
        ]
        await grants.insert_audited(db, rows, acts)
    return request, outcomes
