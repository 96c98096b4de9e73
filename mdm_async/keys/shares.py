"""All the stores that share an installation's secrets, asked together.

Whatever is told goes to all that are up at once. A read asks as many as the threshold at once, and all others as soon
as one of those is slow, fails, or has nothing that opens. A secret is there when as many stores as the threshold gave
shares that open and agree; how many more there are, or what the others say, does not matter.
"""

import asyncio
from collections.abc import Awaitable, Callable, Collection, Sequence
from itertools import zip_longest
from typing import NamedTuple, TypeVar
from uuid import UUID

import asyncpg
import structlog

from mdm_async.errors import MdmError, Unavailable
from mdm_async.keys import metrics
from mdm_async.keys.key_database import KeyDatabase, Opened
from mdm_async.keys.row_cipher import Held
from mdm_async.keys.share_store import PROBE, ShareStore
from mdm_async.keys.splitting import Joined, Key, divide, join
from mdm_async.keys.store import Forgotten, Intent

_SOON = 0.05
"""Seconds after which a read asks the other stores too."""
_REMEMBERED = 10_000
"""Registrations at the most that are remembered to be made good."""
_T = TypeVar("_T")

_log = structlog.get_logger()


class Read(NamedTuple):
    secrets: dict[Key, Held]
    untold: set[Key]
    """Those that stores which did not answer may still give."""


class Shares:
    def __init__(self, stores: Sequence[ShareStore], threshold: int) -> None:
        self.stores, self.threshold = stores, threshold
        self._turn = 0
        self._lacking: set[UUID] = set()

    @property
    def up(self) -> list[ShareStore]:
        return [store for store in self.stores if store.up]

    def take_lacking(self, most: int) -> set[UUID]:
        """Some registrations of which a read did not find a share in each store that it asked."""
        return {self._lacking.pop() for _ in range(min(most, len(self._lacking)))}

    async def open(self) -> None:
        """All that answer and are not open yet. Raises UnsafeSettings when one is not what it should be, Unavailable
        with what is wrong with each when too few answer."""
        opened = await asyncio.gather(*(_opened(store) for store in self.stores if not store.up))
        away = [why for why in opened if why is not None]
        for why in away:
            if not isinstance(why, Unavailable):
                raise why
        if len(self.up) < self.threshold:
            reasons = "; ".join(why.detail for why in away)
            raise Unavailable(
                f"{self.too_few().detail}: {reasons}", remedy="check their dsn, and that they run"
            )

    async def close(self) -> None:
        await asyncio.gather(*(store.close() for store in self.stores))

    async def register(self, secrets: Sequence[Held], *, intended: bool) -> None:
        """In all stores that are up; in none when they are too few. Raises Unavailable."""
        if not secrets:
            return
        if len(self.up) < self.threshold:
            raise self.too_few()
        shares = divide(secrets, self.threshold, max(store.index for store in self.stores))

        async def write(keys: KeyDatabase) -> bool:
            try:
                await keys.register(shares[keys.cipher.store.share], intended=intended)
            except asyncpg.UniqueViolationError:
                return False
            return True

        done = await self.ask(write)
        written = [store for store, answer in done.items() if answer]
        if len(written) >= self.threshold:
            for store in self.stores:
                if store not in written:
                    store.miss()
            return
        # Where another registration has that name, whose answer is not known is left alone: the sweeper asks later.
        taken = any(answer is False for answer in done.values())
        registrations = {one.registration for one in secrets}
        await self.ask(lambda keys: keys.withdraw(registrations), written if taken else self.stores)
        raise self.too_few()

    async def confirm(self, registrations: Collection[UUID]) -> None:
        # A store that is away keeps its intent, which is asked about again.
        await self._any(lambda keys: _done(keys.confirm(registrations)))

    async def unconfirmed(self, age: float, count: int) -> list[Intent]:
        answers = await self._any(lambda keys: keys.unconfirmed(age, count))
        # In turn: one store that tells of many keeps no other from being heard.
        told = (intent for some in zip_longest(*answers.values()) for intent in some if intent is not None)
        return list(dict.fromkeys(told))[:count]

    async def forget(self, registrations: Collection[UUID]) -> Forgotten:
        answers = await self.ask(lambda keys: _done(keys.forget(registrations)))
        done = tuple(store.name for store, answer in answers.items() if answer)
        return Forgotten(done, tuple(store.name for store in self.stores if store.name not in done))

    async def forget_lapsed(self, registrations: Collection[UUID], age: float) -> None:
        await self._any(lambda keys: _done(keys.forget_lapsed(registrations, age)))

    async def read(self, keys: Collection[Key]) -> Read:
        """Those of the secrets that are there, as soon as that is known. Raises Unavailable when too few stores
        answer to know."""
        registrations, kinds = {one for one, _ in keys}, {kind for _, kind in keys}
        asked: dict[asyncio.Future[Opened | None], ShareStore] = {}
        waiting: set[asyncio.Future[Opened | None]] = set()
        found: dict[int, dict[Key, Held]] = {}
        secrets: dict[Key, Held] = {}
        lacking: set[Key] = set()
        left, unasked, is_poor = set(keys), self._in_turn(), False
        # Of what is left, when that is known, too few stores can have a share for it ever to be read.
        while self._may_be_read(found, left):
            now = unasked if is_poor else unasked[: self.threshold - len(asked)]
            for store in now:
                answer = store.begin(lambda db: db.read(registrations, kinds))
                asked[answer] = store
                waiting.add(answer)
            unasked = unasked[len(now) :]
            if not waiting:
                break
            arrived, waiting = await asyncio.wait(
                waiting, timeout=_SOON if unasked else None, return_when=asyncio.FIRST_COMPLETED
            )
            for answer in arrived:
                if (opened := answer.result()) is not None:
                    held = {(one.registration, one.kind): one for one in opened.held}
                    found[asked[answer].index] = held
                    if not opened.closed:
                        lacking.update(key for key in keys if key not in held)
            joined = join(found, left, self.threshold)
            self._tell_wrong(joined)
            secrets |= joined.secrets
            left -= joined.secrets.keys()
            is_poor = not arrived or len(found) < len(asked) - len(waiting) or not waiting
        # One that could be read if all were there is no reason to keep the others from being read.
        if not secrets and self._may_be_read(found, left):
            raise self.too_few()
        if len(self._lacking) < _REMEMBERED:
            self._lacking |= {registration for registration, _ in lacking & secrets.keys()}
        return Read(secrets, {key for key in left if self._may_be_read(found, {key})})

    def _in_turn(self) -> list[ShareStore]:
        """Those that are up first, each time another one of them."""
        self._turn += 1
        up = self.up
        start = self._turn % max(1, len(up))
        return [*up[start:], *up[:start], *(store for store in self.stores if not store.up)]

    def _may_be_read(self, found: dict[int, dict[Key, Held]], left: set[Key]) -> bool:
        silent = len(self.stores) - len(found)
        return any(sum(key in shares for shares in found.values()) + silent >= self.threshold for key in left)

    def _tell_wrong(self, joined: Joined) -> None:
        names = {store.index: store.name for store in self.stores}
        for (registration, _), index in joined.wrong:
            metrics.WRONG.labels(names[index]).inc()
            _log.error(
                "a store's share is none of its secret's", store=names[index], registration=str(registration)
            )

    async def ask(
        self, work: Callable[[KeyDatabase], Awaitable[_T]], stores: Sequence[ShareStore] | None = None
    ) -> dict[ShareStore, _T | None]:
        """What each answers; None of one that does not."""
        asked = {store: store.begin(work) for store in (self.stores if stores is None else stores)}
        if not asked:
            return {}
        try:
            await asyncio.wait(asked.values())
        except asyncio.CancelledError:
            # Whoever takes back what was begun must not overtake it.
            await asyncio.wait(asked.values())
            raise
        return {store: answer.result() for store, answer in asked.items()}

    async def _any(self, work: Callable[[KeyDatabase], Awaitable[_T]]) -> dict[ShareStore, _T]:
        """What those answer that do. Raises Unavailable when none does."""
        answers = {store: answer for store, answer in (await self.ask(work)).items() if answer is not None}
        if not answers:
            raise self.too_few()
        return answers

    def too_few(self) -> Unavailable:
        return Unavailable(
            f"too few key stores answer: it takes {self.threshold} of {len(self.stores)}",
            remedy="try again; the server goes on by itself when they answer (mdm keys status names them)",
            retry_after=round(PROBE),
        )


async def _opened(store: ShareStore) -> MdmError | None:
    try:
        await store.open()
    except MdmError as why:
        return why
    return None


async def _done(work: Awaitable[None]) -> bool:
    await work
    return True
