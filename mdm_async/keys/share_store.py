"""One of several databases that each hold a share of every secret: asked while it answers, gone without while not."""

import asyncio
import hashlib
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, TypeVar

import structlog

from mdm_async.errors import MdmError, Unavailable, UnsafeSettings
from mdm_async.keys import metrics, proofs
from mdm_async.keys.enrolment import demand_this_store
from mdm_async.keys.keeper import KekKeeper
from mdm_async.keys.key_database import KeyDatabase
from mdm_async.keys.ring import KeyRing
from mdm_async.keys.row_cipher import RowCipher, StoreIdentity
from mdm_async.keys.sources import KekSource
from mdm_async.keys.standing import StoreStanding
from mdm_async.postgres.database import Connection, Database, connect
from mdm_async.postgres.migrate import migrate
from mdm_async.seldom import Seldom

PATIENCE = 3.0
"""Seconds that a store has to answer; then it is gone without."""
PROBE = 2.0
"""Seconds between looks whether it answers again."""
_OPENING = 10.0
_SAID_A_MINUTE = 1
_T = TypeVar("_T")

_log = structlog.get_logger()


class ShareStore:
    """Whoever asks a store that does not answer waits no longer than PATIENCE, once; `watch` sees it come back."""

    def __init__(
        self,
        name: str,
        dsn: str,
        identity: StoreIdentity,
        source: KekSource,
        database: Database,
        node: str,
    ) -> None:
        self.name, self.identity, self.source = name, identity, source
        self.peers: Sequence[ShareStore] = ()
        """All stores of the installation, this one among them."""
        self._dsn, self._database, self._node = dsn, database, node
        self.keeper: KekKeeper | None = None
        self._keks: set[bytes] = set()
        """Digests of them."""
        self._opened = asyncio.Event()
        self.keys: KeyDatabase | None = None
        """None until it has been opened: it was away when the server started."""
        self.up = False
        self.missed, self.mended = 1, 0
        """How often it may have missed what others got, and up to where that was made good."""
        self._running: dict[asyncio.Task[None], asyncio.Future[Any]] = {}
        self._said = Seldom(_SAID_A_MINUTE)
        metrics.STORE_UP.labels(name).set(0)

    def __repr__(self) -> str:
        return f"<ShareStore {self.name} {'up' if self.up else 'down'}>"

    @property
    def index(self) -> int:
        return self.identity.share

    @property
    def behind(self) -> bool:
        return self.missed > self.mended

    def miss(self) -> None:
        """Others got what this store did not."""
        self.missed += 1
        metrics.BEHIND.labels(self.name).set(1)

    def mend(self, up_to: int) -> None:
        """It has what others have had until it had missed so much."""
        self.mended = max(self.mended, up_to)
        metrics.BEHIND.labels(self.name).set(int(self.behind))

    async def open(self) -> None:
        """Bring its schema up to date, and find that it is the right one with the right key-encryption keys. Once more
        when it comes back: it may be another one by now, emptied or restored, in which they have other numbers.

        Raises UnsafeSettings when it is not; Unavailable when it is away.
        """
        is_first = self.keys is None
        keks = await self.source.read() if is_first else []
        self._demand_own(keks)
        try:
            async with asyncio.timeout(_OPENING if is_first else PATIENCE):
                async with connect(self._dsn) as db:
                    await migrate(db, "mdm_async.keys")
                    async with db.transaction():
                        identities = {peer.name: peer.identity for peer in self.peers}
                        await demand_this_store(db, self.name, self.identity, identities)
                        ring = await self._proven(db, keks) if is_first else None
                await self._begin_keeping(ring)
        except UnsafeSettings:
            raise
        except Exception as why:  # A DSN can be wrong in many ways, and their words could hold the password.
            raise lets_nobody_in(self.name, why) from None
        self._opened.set()
        self._comes_up()

    async def _begin_keeping(self, ring: KeyRing | None) -> None:
        if ring is None:
            assert self.keeper is not None
            await self.keeper.begin()
            return
        keys = KeyDatabase(self.name, self._database, RowCipher(ring, self.identity))
        keeper = KekKeeper(keys, self.source, self._node)
        await keeper.begin()
        keeper.went_back = self._went_back
        self.keys, self.keeper = keys, keeper

    def begin(self, work: Callable[[KeyDatabase], Awaitable[_T]]) -> asyncio.Future[_T | None]:
        """What the store answers; None when it is down, fails or takes too long. Nobody has to wait for it."""
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[_T | None] = loop.create_future()
        if self.keys is None or not self.up:
            answer.set_result(None)
            return answer
        task = loop.create_task(self._ask(work(self.keys), answer))
        self._running[task] = answer
        task.add_done_callback(lambda task: self._running.pop(task, None))
        late = loop.call_later(PATIENCE, self._goes_down, "slow")
        answer.add_done_callback(lambda _: late.cancel())
        return answer

    async def watch(self) -> None:
        """See it come back."""
        while True:
            await asyncio.sleep(PROBE)
            if self.up:
                continue
            try:
                await self.open()
            except UnsafeSettings as why:
                if (more := self._said.tell("unsafe")) is not None:
                    told = {"reason": why.detail, "remedy": why.remedy, **more}
                    _log.error("a key store is not used", store=self.name, **told)
            except MdmError as why:
                if (more := self._said.tell("closed")) is not None:
                    _log.warning("a key store is still away", store=self.name, reason=why.detail, **more)

    async def keep_keks(self) -> None:
        """Once the store has been there. Whatever is wrong with it is no reason to stop."""
        await self._opened.wait()
        assert self.keeper is not None
        while True:
            try:
                await self.keeper.forever()
            except Exception as why:
                _log.error("a key store is not kept", store=self.name, kind=type(why).__name__)
                self._goes_down(type(why).__name__)
            await asyncio.sleep(PROBE)

    async def close(self) -> None:
        for task in list(self._running):
            task.cancel()
        if self._running:
            await asyncio.wait(list(self._running), timeout=PATIENCE)

    async def standing(self) -> StoreStanding:
        standing = await self.begin(KeyDatabase.standing)
        return standing or StoreStanding(self.name, alive=False, source=self.source.name)

    async def _proven(self, db: Connection, keks: Sequence[bytes]) -> KeyRing:
        try:
            return (await proofs.prove(db, keks, self.identity.installation)).ring
        except Unavailable as why:
            raise UnsafeSettings(
                f"key store {self.name}: {why.detail}",
                remedy=f"{why.remedy}. If that key is destroyed, since the store was put back from an old backup, give "
                "the store an empty database: it is filled from the others",
            ) from None

    def _demand_own(self, keks: Sequence[bytes]) -> None:
        """Whoever has a store's key-encryption keys must not have those of another by that."""
        self._keks = {hashlib.sha256(kek).digest() for kek in keks} or self._keks
        for peer in self.peers:
            if peer is not self and self._keks & peer._keks:
                raise in_common(peer.name, self.name)

    async def _ask(self, work: Awaitable[_T], answer: asyncio.Future[_T | None]) -> None:
        try:
            result = await work
        except Exception as why:
            # What it answered may be nonsense too: its tables are somebody else's.
            self._goes_down("away" if isinstance(why, Unavailable) else type(why).__name__)
        else:
            if not answer.done():
                answer.set_result(result)
        finally:
            if not answer.done():
                answer.set_result(None)

    def _goes_down(self, how: str) -> None:
        if self.up:
            self.up = False
            metrics.STORE_UP.labels(self.name).set(0)
            metrics.FAILED.labels(self.name, how).inc()
            _log.warning("a key store does not answer; others are asked", store=self.name, how=how)
        # Whoever waits for it goes on; what was begun may still come to its end.
        for answer in list(self._running.values()):
            if not answer.done():
                answer.set_result(None)
        for task in list(self._running):
            if task is not asyncio.current_task():
                task.cancel()

    def _went_back(self) -> None:
        """What was told to it since is made good, and what was destroyed is destroyed again."""
        _log.warning(
            "a key store is as it was some time ago; it is compared with the others", store=self.name
        )
        self.miss()

    def _comes_up(self) -> None:
        self.up = True
        metrics.STORE_UP.labels(self.name).set(1)
        _log.info("a key store answers", store=self.name)


def in_common(one: str, other: str) -> UnsafeSettings:
    return UnsafeSettings(
        f"key stores {one} and {other} have a key-encryption key in common",
        remedy="give every store one of its own",
    )


def lets_nobody_in(name: str, why: Exception) -> Unavailable:
    # What it is called, and not its words; of what stands for several of its kind that itself.
    kind = type(why.__cause__ or why).__name__
    return Unavailable(f"key store {name} lets nobody in ({kind})", remedy="check its dsn, and that it runs")
