"""Third-party copies of this node: how many run, whose, and what becomes of those that nobody waits for.

For a face that waits: `run`. For one that answers with a request token (srmCopy):

    id = copies.begin(caller, CopyAsk(Direction.PULL, surl, OtherSide.parse(url), carried(headers)))
    known = await copies.settled(caller, id, seconds=1.0)      # as it stands then, ended or not
    known = copies.known(caller, id)                           # statusOfCopyRequest
    copies.abort(caller, id)                                   # abortRequest, abortFiles

`begin` raises at once NotSupported (no copies are set up), Forbidden (not with that server), Unauthenticated,
TooManyRequests (too many are under way). It runs once a slot is free. Later failures are `known.failure`, an MdmError
with its SRM code. Each copy is known to the node that runs it alone, and to the like of who began it (`Caller.owner`);
it does not outlive the node.
"""

import asyncio
from collections import OrderedDict
from collections.abc import AsyncGenerator, Callable, Iterable, Iterator
from contextlib import aclosing, contextmanager, suppress
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Self
from uuid import UUID, uuid4

from aiohttp import web

from mdm_async import scitags
from mdm_async.auditing.reads import Reads
from mdm_async.auditing.refusals import Refusals
from mdm_async.catalog.trail import acts
from mdm_async.catalog.trail.acts import Act
from mdm_async.errors import (
    Aborted,
    MdmError,
    PeerFailed,
    TooManyRequests,
    Unauthenticated,
    UnknownRequest,
    WrongContent,
)
from mdm_async.images.budget import Budget
from mdm_async.images.cipher_pool import CipherPool
from mdm_async.images.fairness.shares import Shares
from mdm_async.images.intake.intake import Intake
from mdm_async.images.metrics import TRANSFERS_IN
from mdm_async.images.reading.digests import Digests
from mdm_async.images.transfers.admission import Admission
from mdm_async.images.transfers.judging import Judge
from mdm_async.images.transfers.opening import OpenedViews
from mdm_async.images.transfers.storing import StoreAsk, store
from mdm_async.limits import Near
from mdm_async.names import Caller, Payer
from mdm_async.settings import CopySettings
from mdm_async.web.copying.asking import CopyAsk, Direction
from mdm_async.web.copying.back_ends import BackEnds
from mdm_async.web.copying.client import MEMORY, CopyClient
from mdm_async.web.copying.guard import Guard
from mdm_async.web.copying.metrics import COPIES
from mdm_async.web.copying.progress import Progress
from mdm_async.web.copying.pull import Pull
from mdm_async.web.copying.push import Push
from mdm_async.web.http import problem
from mdm_async.web.http.house import House
from mdm_async.web.http.sending import telling_damage

_RETRY_AFTER = 5
_PIECE = 2 << 20
"""Bytes of a view in memory: a piece on its way, and the next one decrypted."""


def _tagged() -> dict[str, int]:
    return scitags.details(scitags.shown.get())


@dataclass(eq=False, slots=True)
class KnownCopy:
    """One that was begun and is not waited for. `failure`: why it ended, if it did not do so well.

    The headers in `ask`, which may be credentials, are kept no longer than it runs.
    """

    caller: Caller
    ask: CopyAsk
    progress: Progress = field(default_factory=Progress)
    failure: MdmError | None = None
    ended: asyncio.Event = field(default_factory=asyncio.Event)
    task: "asyncio.Task[None] | None" = None


@dataclass(eq=False, slots=True)
class Copies:
    settings: CopySettings
    client: CopyClient
    intake: Intake
    judge: Judge
    opened: OpenedViews
    digests: Digests
    admission: Admission
    budget: Budget
    cipher: CipherPool
    reads: Reads
    refusals: Refusals
    draining: Callable[[], bool]
    running: Shares
    kept: Shares
    _known: OrderedDict[UUID, KnownCopy] = field(default_factory=OrderedDict)
    _tasks: set["asyncio.Task[None]"] = field(default_factory=set)
    _freed: asyncio.Event = field(default_factory=asyncio.Event)
    """Set for a moment whenever a slot is given back."""

    @classmethod
    def of(cls, house: House) -> Self:
        settings, limits = house.settings.copy, house.settings.limits
        back_ends = BackEnds.of(house.settings, lambda: (house.port, house.tls_port or house.port))
        client = CopyClient.of(Guard(settings, back_ends), house.settings.identity.ca_directory)
        return cls(
            settings=settings,
            client=client,
            intake=house.intake,
            judge=house.judge,
            opened=house.opened,
            digests=house.digests,
            admission=house.admission,
            budget=house.budget,
            cipher=house.cipher,
            reads=house.reads,
            refusals=house.refusals,
            draining=lambda: house.draining,
            running=Shares(settings.running, limits.share),
            kept=Shares(settings.kept, limits.share),
        )

    def near(self) -> Iterable[Near]:
        return [Near("copy.running", self.running.used, self.running.most)]

    async def run(self, caller: Caller, ask: CopyAsk, progress: Progress) -> None:
        """Copy one file, and return when it is there and is what was sent.

        Raises as storing or opening it would; NotSupported, Forbidden, PeerFailed, WrongContent for what the other
        server is or does.
        """
        outcome = "failure"
        try:
            await self._run(caller, ask, progress)
            outcome = "success"
        finally:
            COPIES.labels(ask.direction.value, outcome).inc()

    async def _run(self, caller: Caller, ask: CopyAsk, progress: Progress) -> None:
        self._demand_allowed(caller, ask)
        copy = self._pull if ask.direction is Direction.PULL else self._push
        loop, was_cut = asyncio.get_running_loop(), False
        scope = asyncio.timeout(self.settings.seconds)

        def cut() -> None:
            nonlocal was_cut
            was_cut = True
            if not scope.expired():
                scope.reschedule(loop.time())

        with self._slot(caller.payer):
            try:
                async with scope:
                    await copy(caller, ask, progress, cut)
            except TimeoutError:
                if not scope.expired():
                    raise
                if was_cut:
                    raise WrongContent("the right to the file was lost, or it has gone, meanwhile") from None
                raise PeerFailed(f"the copy took longer than {self.settings.seconds:.0f} s") from None

    def _demand_allowed(self, caller: Caller, ask: CopyAsk) -> None:
        if caller.is_anonymous:
            raise Unauthenticated("who has files copied between servers must say who they are")
        self.client.guard.demand_listed(ask.other)
        if self.draining():
            raise TooManyRequests("the server is shutting down", retry_after=10)

    async def _pull(self, caller: Caller, ask: CopyAsk, progress: Progress, cut: Callable[[], None]) -> None:
        pull = Pull(self.client, self.intake, self.cipher, caller.payer, ask, progress)

        async def coming() -> AsyncGenerator[bytes, None]:
            # The first byte is asked for once the caller may store it.
            await self._tell(Act(caller, "copy", "begun", details={"from": ask.other.origin, **_tagged()}))
            progress.begun.set()
            async with aclosing(pull.chunks()) as chunks:
                async for chunk in chunks:
                    yield chunk

        with TRANSFERS_IN.track_inprogress(), self.budget.holding(caller.payer, MEMORY):
            async with aclosing(coming()) as body:
                asked = StoreAsk(ask.surl, overwrite=ask.overwrite, again=False)
                await store(self.intake, self.judge, self.admission, caller, asked, body, cut)

    async def _push(self, caller: Caller, ask: CopyAsk, progress: Progress, cut: Callable[[], None]) -> None:
        opened = await self.opened.open(caller, ask.surl)
        served, read = opened.warm.served, opened.warm.read
        progress.total = served.size
        with (
            self.admission.sending(caller.payer, served.ending, cut),
            self.budget.holding(caller.payer, MEMORY + min(served.size, _PIECE)),
        ):
            details = {"to": ask.other.origin, **_tagged()}
            await self._tell(Act(caller, "copy", "begun", guid=read.guid, view=read.view, details=details))
            progress.begun.set()
            async with (
                self.reads.reading(read, served.ending, caller.source) as reading,
                telling_damage(read),
                served.open([(0, served.size)], files=False) as pieces,
            ):
                push = Push(self.client, ask, progress, served, self.digests, caller.payer)
                await push.send(pieces, reading)

    async def _tell(self, act: Act) -> None:
        async with self.judge.database.acquire() as db:
            await acts.record(db, [act])

    @contextmanager
    def _slot(self, payer: Payer) -> Iterator[None]:
        if not self.running.take(payer):
            raise TooManyRequests("as many copies run as may run for you", retry_after=_RETRY_AFTER)
        try:
            yield
        finally:
            self.running.give(payer)
            self._freed.set()
            self._freed.clear()

    # Those that nobody waits for.

    async def end(self) -> None:
        """Cut those that run."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def begin(self, caller: Caller, ask: CopyAsk) -> UUID:
        """Have one file copied. Raises NotSupported, Forbidden, Unauthenticated, TooManyRequests."""
        self._demand_allowed(caller, ask)
        self._make_room(caller.payer)
        id_, known = uuid4(), KnownCopy(caller, ask)
        self._known[id_] = known
        known.task = asyncio.create_task(self._follow(known))
        self._tasks.add(known.task)
        known.task.add_done_callback(partial(self._ended, known))
        return id_

    def known(self, caller: Caller, id_: UUID) -> KnownCopy:
        """Raises UnknownRequest."""
        known = self._known.get(id_)
        if known is None or known.caller.owner != caller.owner:
            raise UnknownRequest()
        return known

    async def settled(self, caller: Caller, id_: UUID, seconds: float) -> KnownCopy:
        """As `known`, once it has ended or so long has passed."""
        known = self.known(caller, id_)
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await known.ended.wait()
        return known

    def abort(self, caller: Caller, id_: UUID) -> None:
        """It ends soon, and leaves nothing. One that has ended stays as it is. Raises UnknownRequest."""
        known = self.known(caller, id_)
        if known.task is not None and not known.ended.is_set():
            known.task.cancel()

    async def _follow(self, known: KnownCopy) -> None:
        caller = known.caller
        try:
            while not self.running.may_take(caller.payer):
                await self._freed.wait()
            await self.run(caller, known.ask, known.progress)
        except MdmError as why:
            known.failure = why
            self.note(why, caller)
        except Exception as error:
            problem.log(error)
            known.failure = MdmError("an unexpected failure; the server's log knows more")

    def _ended(self, known: KnownCopy, task: "asyncio.Task[None]") -> None:
        """Also of one that was aborted before it had begun."""
        self._tasks.discard(task)
        if task.cancelled():
            known.failure = Aborted()
        known.ask = replace(known.ask, headers=())
        known.ended.set()

    def note(self, why: MdmError, caller: Caller) -> None:
        """Put it into the audit if an access was refused, where no answer with a status tells of it."""
        if why.is_refusal or why.refusal is not None:
            self.refusals.note(why, caller, caller.source, "copy")

    def _make_room(self, payer: Payer) -> None:
        while not self.kept.take(payer):
            oldest = self._oldest_ended(payer.account)
            if oldest is None and self.kept.used >= self.kept.most:
                # Or those who never come again would leave no room to anybody.
                oldest = self._oldest_ended()
            if oldest is None:
                raise TooManyRequests("too many of your copies are under way", retry_after=_RETRY_AFTER)
            self.kept.give(self._known.pop(oldest).caller.payer)

    def _oldest_ended(self, account: str | None = None) -> UUID | None:
        """Of one account, or of all."""
        return next(
            (
                id_
                for id_, known in self._known.items()
                if known.ended.is_set() and account in (None, known.caller.payer.account)
            ),
            None,
        )


COPIES_HERE = web.AppKey("copies", Copies)
