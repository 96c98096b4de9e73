"""Preparing files to be read: rights, view, pin and transfer URL, thousands of SURLs in one round."""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from uuid import UUID, uuid4

from mdm_async.catalog.grants import grants
from mdm_async.catalog.grants.grants import Grant
from mdm_async.catalog.trail.acts import Act
from mdm_async.errors import MdmError
from mdm_async.images.fairness.desk import Desk
from mdm_async.images.fairness.pieces import in_pieces
from mdm_async.images.metrics import GRANTED
from mdm_async.images.reading.served import ServedViews
from mdm_async.images.reading.shelf import Shelf
from mdm_async.images.transfers.granting import lifetime, unserved_grant
from mdm_async.images.transfers.judging import Judge
from mdm_async.images.transfers.pins import WARM, Pins, ReadTicket, Wanted
from mdm_async.images.transfers.readable import readable
from mdm_async.images.transfers.through_cohort import wanted_through
from mdm_async.images.transfers.warm import WarmTurls
from mdm_async.names import Caller, View
from mdm_async.postgres.database import Connection, Database
from mdm_async.settings import TransferSettings


@dataclass(frozen=True, slots=True)
class Prepared:
    """A request's token (None: it was refused as a whole) and, file by file, a ticket or why there is none."""

    request: UUID | None
    files: list[tuple[str, ReadTicket | MdmError]]


@dataclass(frozen=True, slots=True)
class Ask:
    """What a caller asks for: SURLs, a view for those that name none, pin (seconds), recipient's key.

    `names`: as what the files are kept in the request, where that is not their SURLs.
    """

    surls: Sequence[str]
    view: View | None = None
    pin: int | None = None
    recipient: bytes | None = None
    description: str | None = None
    names: Sequence[str] | None = None
    cohort: str | None = None
    """The path of the one through which files, its members, are read, in the versions that it pins."""


async def prepare(
    desk: Desk, judge: Judge, warm: WarmTurls, settings: TransferSettings, caller: Caller, ask: Ask
) -> Prepared:
    """Pin every file that the caller may read in the view asked for. One failing file fails no other.

    A request of which every file fails leaves nothing. Raises TooManyRequests before anything is done for it.
    """
    pin, request, files = lifetime(settings, caller, ask.pin), uuid4(), len(ask.surls)
    answers: dict[int, ReadTicket | MdmError] = {}
    with desk.asking(request, caller.payer, files, pin):
        who = await judge.callers.id_of(caller)
        pins = Pins(judge.database, warm.shelf, warm.cipher, caller, who, request, pin, ask.description)
        await in_pieces(
            desk.turns, caller.payer, files, partial(_prepare_some, desk, judge, warm, pins, ask, answers)
        )
        refused = {item: why for item, why in answers.items() if isinstance(why, MdmError)}
        desk.end(request, len(refused))
        if len(refused) < files:
            rows = [
                unserved_grant(request, item, "get", caller, ask.surls[item], why, pin, ask.description)
                for item, why in refused.items()
            ]
            await _insert(desk, judge.database, caller, rows, sync=False)
    GRANTED.labels("get").inc(files - len(refused))
    return Prepared(
        request if len(refused) < files else None,
        [(surl, answers[item]) for item, surl in enumerate(ask.surls)],
    )


async def _insert(
    desk: Desk,
    database: Database,
    caller: Caller,
    rows: Sequence[Grant],
    acts: Sequence[Act] = (),
    *,
    sync: bool,
) -> None:
    async def some(items: range) -> None:
        some_rows, some_acts = rows[items.start : items.stop], acts[items.start : items.stop]
        async with database.acquire() as db:
            await grants.insert_audited(db, some_rows, some_acts, sync=sync)

    await in_pieces(desk.turns, caller.payer, len(rows), some, begun=True)


async def _prepare_some(
    desk: Desk,
    judge: Judge,
    warm: WarmTurls,
    pins: Pins,
    ask: Ask,
    answers: dict[int, ReadTicket | MdmError],
    items: range,
) -> None:
    """The first of a request are kept ready for their first GET."""
    asked, judged = time.monotonic(), warm.feed.known_of(pins.caller)
    async with judge.database.acquire() as db:
        wanted = await _wanted(judge, warm.shelf.served, db, pins.caller, ask, items, answers)
    made = await pins.make(wanted, answers, warm=max(WARM - items.start, 0))
    if made:
        acts = [_act(pins.caller, one.want) for one in made]
        async with judge.database.acquire() as db:
            await grants.insert_audited(db, [one.grant for one in made], acts, sync=False)
    answers.update({one.want.item: one.ticket for one in made})
    desk.strangers.expect(one.grant.turl for one in made)
    for one in made:
        if one.content is not None:
            warm.admit(one.grant, one.content, asked, judged, one.want.way)


def _act(caller: Caller, want: Wanted) -> Act:
    details: dict[str, object] = {"recipient": want.recipient.hex()} if want.recipient is not None else {}
    if want.pinned is not None:
        details |= {"cohort": str(want.pinned.guid), "version": want.pinned.version}
    return Act(caller, "prepare get", guid=want.guid, view=want.view, details=details)


async def _wanted(
    judge: Judge,
    served: ServedViews,
    db: Connection,
    caller: Caller,
    ask: Ask,
    items: range,
    answers: dict[int, ReadTicket | MdmError],
    *,
    delivered: bool = True,
) -> list[Wanted]:
    """What the caller may read of these items; of all else, why not, in `answers`."""
    if ask.cohort is not None:
        files = [(item, ask.surls[item]) for item in items]
        pinned = await wanted_through(served, judge.delivery, db, caller, ask.cohort, files, ask.recipient)
        answers.update(
            {item: one for item, one in zip(items, pinned, strict=True) if isinstance(one, MdmError)}
        )
        return [one for one in pinned if isinstance(one, Wanted)]
    found = await readable(
        served,
        judge.delivery,
        db,
        caller,
        [ask.surls[item] for item in items],
        view=ask.view,
        recipient=ask.recipient,
        delivered=delivered,
    )
    wanted = []
    for item, one in zip(items, found, strict=True):
        if isinstance(one, MdmError):
            answers[item] = one
        else:
            wanted.append(
                Wanted(
                    item,
                    ask.surls[item],
                    one.entry.id,
                    one.entry.guid,
                    one.image,
                    one.view,
                    one.recipient,
                    one.way,
                )
            )
    return wanted


async def bring_online(
    desk: Desk, judge: Judge, shelf: Shelf, settings: TransferSettings, caller: Caller, ask: Ask
) -> tuple[UUID | None, list[tuple[str, MdmError | None]]]:
    """Ask that files be online, as all that is stored here is: the request, and why some cannot be read.

    A request of which every file fails leaves nothing: it is None. Raises TooManyRequests before anything is done.
    """
    request, life, files = uuid4(), lifetime(settings, caller, ask.pin), len(ask.surls)
    failed: dict[int, ReadTicket | MdmError] = {}
    acts: list[Act] = []

    async def some(items: range) -> None:
        async with judge.database.acquire() as db:
            wanted = await _wanted(judge, shelf.served, db, caller, ask, items, failed, delivered=False)
            found = await shelf.find(db, [(want.image, want.view) for want in wanted])
        for want, opened in zip(wanted, await shelf.open_records(found), strict=True):
            if isinstance(opened, MdmError):
                failed[want.item] = opened
            else:
                acts.append(Act(caller, "bring online", guid=want.guid, view=want.view))

    with desk.asking(request, caller.payer, files, life):
        await in_pieces(desk.turns, caller.payer, files, some)
        outcomes = [
            (surl, why if isinstance(why := failed.get(item), MdmError) else None)
            for item, surl in enumerate(ask.names or ask.surls)
        ]
        if acts:
            rows = [
                unserved_grant(request, item, "bring_online", caller, surl, why, life, ask.description)
                for item, (surl, why) in enumerate(outcomes)
            ]
            await _insert(desk, judge.database, caller, rows, acts, sync=True)
    # All of it is done: nothing is outstanding.
    desk.end(request, files)
    return request if acts else None, outcomes
