"""Preparing files to be read: rights, view, pin and transfer URL, thousands of SURLs in one round."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from uuid import UUID, uuid4

from mdm_async.catalog.grants import grants
from mdm_async.catalog.grants.grants import Grant
from mdm_async.catalog.holdings import staged
from mdm_async.catalog.holdings.locality import Locality
from mdm_async.catalog.trail.acts import Act
from mdm_async.catalog.work import images_to_stage
from mdm_async.errors import MdmError, NotOnline
from mdm_async.images.fairness.desk import Desk
from mdm_async.images.fairness.pieces import in_pieces
from mdm_async.images.metrics import GRANTED
from mdm_async.images.reading.served import ServedViews
from mdm_async.images.reading.shelf import Shelf, evictable_of, not_online, part_of
from mdm_async.images.transfers.granting import lifetime, unserved_grant
from mdm_async.images.transfers.judging import Judge
from mdm_async.images.transfers.long_pins import Lives, lives
from mdm_async.images.transfers.pins import WARM, Answer, Made, Pins, Wanted
from mdm_async.images.transfers.readable import Readable, readable, readable_together
from mdm_async.images.transfers.rounds import FEW, Rounds
from mdm_async.images.transfers.staging import NOTHING_STAGED, Staging, Waits
from mdm_async.images.transfers.through_cohort import wanted_through
from mdm_async.images.transfers.warm import WarmTurls
from mdm_async.names import Caller, View
from mdm_async.postgres.database import Connection, Database
from mdm_async.settings import TransferSettings

_AT_ONCE = 500
"""Files that begin to wait in one transaction."""
_USED = 10.0
"""Seconds; what was pinned as lately is not said to be used again."""


@dataclass(frozen=True, slots=True)
class Prepared:
    """A request's token (None: it was refused as a whole) and, file by file, a ticket or why there is none."""

    request: UUID | None
    files: list[tuple[str, Answer]]


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
    desk: Desk,
    judge: Judge,
    warm: WarmTurls,
    rounds: Rounds,
    settings: TransferSettings,
    caller: Caller,
    ask: Ask,
    staging: Staging = NOTHING_STAGED,
) -> Prepared:
    """Pin every file that the caller may read in the view asked for. One failing file fails no other.

    What an archive has waits until it is here, and is pinned then. A request of which every file fails leaves nothing.
    Raises TooManyRequests before anything is done for it.
    """
    pin, request, files = lifetime(settings, caller, ask.pin), uuid4(), len(ask.surls)
    answers: dict[int, Answer] = {}
    with desk.asking(request, caller.payer, files, pin):
        who = await judge.callers.id_of(caller)
        few = files <= FEW and ask.cohort is None
        pins = Pins(
            judge.database,
            warm.shelf,
            rounds,
            few,
            warm.cipher,
            staging,
            caller,
            who,
            request,
            pin,
            ask.description,
        )
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
    answers: dict[int, Answer],
    items: range,
) -> None:
    """The first of a request are kept ready for their first GET."""
    asked, judged = time.monotonic(), warm.feed.known_of(pins.caller)
    if pins.few:
        surls, served = [ask.surls[item] for item in items], warm.shelf.served
        found = await readable_together(
            served, judge.delivery, pins.rounds, pins.caller, surls, view=ask.view, recipient=ask.recipient
        )
        wanted = _sorted_out(found, ask, items, answers)
    else:
        async with judge.database.acquire() as db:
            wanted = await _wanted(judge, warm.shelf.served, db, pins.caller, ask, items, answers)
    made = await pins.make(wanted, answers, warm=max(WARM - items.start, 0))
    if made:
        made = await _pin(judge.database, pins, made, answers)
    answers.update({one.want.item: one.ticket for one in made})
    queued = await pins.queued(wanted, answers)
    pins.staging.asked(sum(one.part is not None for one in made), len(queued))
    if queued:
        await _queue(
            judge.database,
            pins.staging,
            pins.caller,
            [one.grant for one in queued],
            [_act(pins.caller, one.want) for one in queued],
            {one.want.image: one.archive for one in queued},
        )
    desk.strangers.expect(one.grant.turl for one in made)
    for one in made:
        if one.content is not None:
            warm.admit(one.grant, one.content, asked, judged, one.want.way)


async def _pin(database: Database, pins: Pins, made: list[Made], answers: dict[int, Answer]) -> list[Made]:
    """Those that are pinned; what was evicted since it was found is not here, in `answers`."""

    async def insert(db: Connection, some: Sequence[Made]) -> None:
        acts = [_act(pins.caller, one.want) for one in some]
        await grants.insert_audited(db, [one.grant for one in some], acts, sync=False)

    evictable = {one.want.image: one.part for one in made if one.part is not None}
    if not evictable and pins.few:
        await pins.rounds.grants.ask([(one.grant, _act(pins.caller, one.want)) for one in made])
        return made
    if not evictable:
        async with database.acquire() as db:
            await insert(db, made)
        return made
    async with database.transaction() as db:
        gone = await staged.hold(db, evictable)
        kept = [one for one in made if one.want.image not in gone]
        images = [one.want.image for one in kept if one.want.image in evictable]
        life = await lives(db, pins.staging.cache, pins.caller.payer.account, images, pins.life)
        kept = [_living(one, life, pins.caller) for one in kept]
        await insert(db, kept)
    answers.update({one.want.item: not_online(Locality.NEARLINE) for one in made if one.want.image in gone})
    async with database.acquire() as db:
        await staged.note_use(db, evictable.keys() - gone, _USED)
    return kept


def _living(made: Made, life: Lives, caller: Caller) -> Made:
    seconds, keeps = life.of(made.want.image), life.keeps(made.want.image)
    keeper = caller.payer.account if keeps is not None else None
    return replace(
        made,
        grant=replace(made.grant, life=seconds, keeper=keeper, keeps=keeps),
        ticket=replace(made.ticket, pin=int(seconds)),
    )


async def _queue(
    database: Database,
    staging: Staging,
    caller: Caller,
    rows: Sequence[Grant],
    acts: Sequence[Act],
    archives: Mapping[UUID, str],
) -> None:
    """Rows that wait, and the images that are to be brought for them."""
    async with database.transaction() as db:
        await grants.insert_audited(db, rows, acts, sync=True)
        # After them: whoever is just done with an image sees them, or finds it to be brought anew.
        await images_to_stage.add(db, archives, caller.payer.room)
    staging.wake(archives.values())


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
    answers: dict[int, Answer],
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
    return _sorted_out(found, ask, items, answers)


def _sorted_out(
    found: Sequence[Readable | MdmError], ask: Ask, items: range, answers: dict[int, Answer]
) -> list[Wanted]:
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
    desk: Desk,
    judge: Judge,
    shelf: Shelf,
    settings: TransferSettings,
    caller: Caller,
    ask: Ask,
    staging: Staging = NOTHING_STAGED,
) -> tuple[UUID | None, list[tuple[str, Waits | MdmError | None]]]:
    """Ask that files be online: the request, and of each file why it cannot be read, or that it waits for its archive.

    A request of which every file fails leaves nothing: it is None. Raises TooManyRequests before anything is done.
    """
    request, life, files = uuid4(), lifetime(settings, caller, ask.pin), len(ask.surls)
    failed: dict[int, Answer] = {}
    acts: list[Act] = []
    absent: list[Wanted] = []
    wait: dict[UUID, tuple[str, int]] = {}
    names = ask.names or ask.surls
    pinned: set[int] = set()

    async def pin(wanted: Mapping[UUID, UUID], held: Sequence[Wanted]) -> set[UUID]:
        """Keep images of the cache here for as long as was asked; those that were evicted since they were found."""
        async with judge.database.transaction() as db:
            gone = await staged.hold(db, wanted)
            kept = [want for want in held if want.image not in gone]
            images = [want.image for want in kept]
            living = await lives(db, staging.cache, caller.payer.account, images, life)
            rows = [
                replace(
                    _of_image(request, caller, names[want.item], want, life, ask.description),
                    state="done",
                    life=living.of(want.image),
                    keeps=living.keeps(want.image),
                )
                for want in kept
            ]
            await grants.insert_audited(db, rows, [_brought(caller, want) for want in kept], sync=True)
        pinned.update(want.item for want in kept)
        return gone

    async def some(items: range) -> None:
        async with judge.database.acquire() as db:
            wanted = await _wanted(judge, shelf.served, db, caller, ask, items, failed, delivered=False)
            found = await shelf.find(db, [(want.image, want.view) for want in wanted])
        away: list[Wanted] = []
        evictable: dict[UUID, UUID] = {}
        for want, opened in zip(wanted, await shelf.open_records(found), strict=True):
            if isinstance(opened, MdmError):
                failed[want.item] = opened
                away += [want] if isinstance(opened, NotOnline) else []
            elif want.image in evictable_of(found):
                evictable[want.image] = part_of(opened)
            else:
                acts.append(_brought(caller, want))
        if evictable:
            held = [want for want in wanted if want.image in evictable]
            gone = await pin(evictable, held)
            away += [want for want in held if want.image in gone]
            failed.update({want.item: not_online(Locality.NEARLINE) for want in held if want.image in gone})
        if away:
            async with judge.database.acquire() as db:
                waits = await staging.waits(db, caller, [want.image for want in away])
            refusal = await staging.refusal() if waits else None
            for want in away:
                one = waits.get(want.image)
                why = one if isinstance(one, NotOnline) else refusal
                if one is not None and why is not None:
                    failed[want.item] = why
                elif one is not None and not isinstance(one, NotOnline):
                    wait[want.image] = one
                    absent.append(want)
        staging.asked(len(evictable), sum(want.image in wait for want in away))

    with desk.asking(request, caller.payer, files, life):
        await in_pieces(desk.turns, caller.payer, files, some)
        waiting = {
            want.item: (want, Waits(names[want.item], want.view, *wait[want.image])) for want in absent
        }
        outcomes: list[tuple[str, Waits | MdmError | None]] = [
            (surl, waiting[item][1] if item in waiting else _why(failed.get(item)))
            for item, surl in enumerate(names)
        ]
        if acts or waiting or pinned:
            rows = [
                unserved_grant(request, item, "bring_online", caller, surl, why, life, ask.description)
                for item, (surl, why) in enumerate(outcomes)
                if not isinstance(why, Waits) and item not in pinned
            ]
            await _insert(desk, judge.database, caller, rows, acts, sync=True)
        for some_absent in (absent[start : start + _AT_ONCE] for start in range(0, len(absent), _AT_ONCE)):
            queued = [
                _of_image(request, caller, names[want.item], want, life, ask.description)
                for want in some_absent
            ]
            archives = {want.image: wait[want.image][0] for want in some_absent}
            await _queue(
                judge.database,
                staging,
                caller,
                queued,
                [_brought(caller, want) for want in some_absent],
                archives,
            )
    # Of what is done nothing is outstanding.
    desk.end(request, files - len(waiting))
    return request if acts or waiting or pinned else None, outcomes


def _why(answer: Answer | None) -> MdmError | None:
    return answer if isinstance(answer, MdmError) else None


def _brought(caller: Caller, want: Wanted) -> Act:
    return Act(caller, "bring online", guid=want.guid, view=want.view)


def _of_image(
    request: UUID, caller: Caller, surl: str, want: Wanted, life: int, description: str | None
) -> Grant:
    made = unserved_grant(request, want.item, "bring_online", caller, surl, None, life, description)
    of_image = replace(made, entry=want.entry, guid=want.guid, image=want.image, view=want.view)
    return replace(of_image, state="queued", keeper=caller.payer.account)
