"""Preparing files to be read: rights, view, pin and transfer URL, thousands of SURLs in one round."""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID, uuid4

from mdm_async.catalog.grants import grants
from mdm_async.catalog.trail.acts import Act
from mdm_async.errors import MdmError
from mdm_async.images.metrics import GRANTED
from mdm_async.images.reading.served import ServedViews
from mdm_async.images.reading.shelf import Shelf
from mdm_async.images.transfers.granting import lifetime, unserved_grant
from mdm_async.images.transfers.judging import Judge
from mdm_async.images.transfers.pins import Pins, ReadTicket, Wanted
from mdm_async.images.transfers.readable import readable
from mdm_async.images.transfers.warm import WarmTurls
from mdm_async.names import Caller, View
from mdm_async.postgres.database import Connection
from mdm_async.settings import TransferSettings


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


async def prepare(
    judge: Judge, warm: WarmTurls, settings: TransferSettings, caller: Caller, ask: Ask
) -> Prepared:
    """Pin every file that the caller may read in the view asked for. One failing file fails no other."""
    pin = lifetime(settings, caller, ask.pin)
    answers: dict[int, ReadTicket | MdmError] = {}
    request = uuid4()
    who = await judge.callers.id_of(caller)
    asked, judged = time.monotonic(), (warm.feed.now[0], caller.generation)
    async with judge.database.acquire() as db:
        wanted = await _wanted(judge, warm.shelf.served, db, caller, ask, answers)
    pins = Pins(judge.database, warm.shelf, warm.cipher, caller, who, request, pin, ask.description)
    made = await pins.make(wanted, answers)
    answers.update({one.want.item: one.ticket for one in made})
    rows = [one.grant for one in made]
    rows += [
        unserved_grant(request, item, "get", caller, ask.surls[item], why, pin, ask.description)
        for item, why in answers.items()
        if isinstance(why, MdmError)
    ]
    async with judge.database.acquire() as db:
        await grants.insert_audited(db, rows, [_act(caller, one.want) for one in made], sync=False)
    for one in made:
        if one.content is not None:
            warm.admit(one.grant, one.content, asked, judged, one.want.way)
    GRANTED.labels("get").inc(len(made))
    return Prepared(request, [(surl, answers[item]) for item, surl in enumerate(ask.surls)])


def _act(caller: Caller, want: Wanted) -> Act:
    details = {"recipient": want.recipient.hex()} if want.recipient is not None else {}
    return Act(caller, "prepare get", guid=want.entry.guid, view=want.view, details=details)


async def _wanted(
    judge: Judge,
    served: ServedViews,
    db: Connection,
    caller: Caller,
    ask: Ask,
    answers: dict[int, ReadTicket | MdmError],
    *,
    delivered: bool = True,
) -> list[Wanted]:
    """What the caller may read; of all else, why not, in `answers`."""
    found = await readable(
        served,
        judge.delivery,
        db,
        caller,
        ask.surls,
        view=ask.view,
        recipient=ask.recipient,
        delivered=delivered,
    )
    answers.update((item, why) for item, why in enumerate(found) if isinstance(why, MdmError))
    return [
        Wanted(item, ask.surls[item], one.entry, one.image, one.view, one.recipient, one.way)
        for item, one in enumerate(found)
        if not isinstance(one, MdmError)
    ]


async def bring_online(
    judge: Judge, shelf: Shelf, settings: TransferSettings, caller: Caller, ask: Ask
) -> tuple[UUID, list[tuple[str, MdmError | None]]]:
    """Ask that files be online, as all that is stored here is: the request, and why some cannot be read."""
    request, life = uuid4(), lifetime(settings, caller, ask.pin)
    failed: dict[int, ReadTicket | MdmError] = {}
    async with judge.database.acquire() as db:
        wanted = await _wanted(judge, shelf.served, db, caller, ask, failed, delivered=False)
        found = await shelf.find(db, [(want.image, want.view) for want in wanted])
    for want, opened in zip(wanted, await shelf.open_records(found), strict=True):
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
    async with judge.database.acquire() as db:
        await grants.insert_audited(db, rows, acts, sync=True)
    return request, outcomes
