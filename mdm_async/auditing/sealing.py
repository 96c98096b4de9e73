"""The sealer: committed rows of the audit trail are signed each second, by one node at a time, and published by all."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from concurrent.futures import Executor
from functools import partial
from typing import TypeVar
from uuid import UUID

import structlog
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from mdm_async.audit import seals
from mdm_async.audit.rows import row_of
from mdm_async.auditing.gazette import Gazette
from mdm_async.auditing.metrics import AUDIT_CONTRADICTIONS, AUDIT_SEALED
from mdm_async.catalog.trail import ledger, unsealed
from mdm_async.errors import Unavailable
from mdm_async.postgres.database import Connection, Database

INTERVAL = 1.0
MOST = 20_000
"""Rows under one seal."""
_PAGE = 1000
_LATE = 60.0
"""Seconds that another session may hold the sealer's lock without sealing."""

T = TypeVar("T")
_log = structlog.get_logger()


class Sealer:
    """Of one node. `pool` runs what blocks or computes."""

    def __init__(
        self,
        database: Database,
        installation: UUID,
        private: Ed25519PrivateKey,
        gazette: Gazette,
        pool: Executor,
    ) -> None:
        self._database, self._installation, self._private = database, str(installation), private
        self._gazette, self._pool = gazette, pool
        self._published: tuple[int, str] | None = None
        self._is_read = False
        self._trouble: dict[str, str] = {}
        self._contradicted = False
        self._kept_out: tuple[float, int] | None = None
        """Since when another session holds the sealer's lock, and the last seal then."""

    async def run_forever(self) -> None:
        """Whatever happens, the next second is due."""
        while True:
            await self.tick()
            await asyncio.sleep(INTERVAL)

    async def tick(self) -> None:
        """Publish what is sealed, seal what is not if no other node is at it, publish that."""
        await self._attempt("published", self.publish)
        if await self._attempt("sealed", self.seal):
            await self._attempt("published", self.publish)

    async def _attempt(self, what: str, step: Callable[[], Awaitable[T]]) -> T | None:
        try:
            done = await step()
        except Unavailable:
            return None  # requests tell of it
        except Exception as why:
            kind = type(why).__name__
            if self._trouble.get(what) != kind:
                _log.error(f"the audit trail cannot be {what}", kind=kind)
            self._trouble[what] = kind
            return None
        self._trouble.pop(what, None)
        return done

    async def seal(self) -> int:
        """Seal all rows that wait; how many that was."""
        sealed = 0
        while count := await self._seal_some():
            sealed += count
            if count < MOST:
                break
        return sealed

    async def _seal_some(self) -> int:
        async with self._database.transaction() as db:
            if not await self._may_seal(db):
                return 0
            at = await ledger.now(db)
            found = await unsealed.waiting(db, at, MOST)
            if not found.rows:
                return 0
            number, previous = self._next(await ledger.last_seal(db))
            text, index = await self._on_pool(
                lambda: seals.make(
                    [row_of(record.items()) for record in found.rows],
                    installation=self._installation,
                    number=number,
                    at=at,
                    previous=previous,
                    private=self._private,
                )
            )
            await ledger.add_seal(db, number, text, index, [record["id"] for record in found.rows])
            await unsealed.sealed(db, found)
        AUDIT_SEALED.inc(len(found.rows))
        return len(found.rows)

    async def _may_seal(self, db: Connection) -> bool:
        """False while another node seals. Whoever owns the database could hold the lock and let none: that is told."""
        if await ledger.may_seal(db):
            self._kept_out = None
            return True
        last = await ledger.last_seal(db)
        now, number = time.monotonic(), last[0] if last is not None else 0
        if self._kept_out is None or self._kept_out[1] != number:
            self._kept_out = now, number
        elif now - self._kept_out[0] >= _LATE:
            self._kept_out = now, number
            _log.error(
                "the audit trail is not sealed: another session holds the sealer's lock, and makes no seals"
            )
        return False

    def _next(self, last: tuple[int, str] | None) -> tuple[int, str | None]:
        """Number of the next seal, and the line before it: the one published, when the database denies that."""
        published = self._published
        if published is not None and (self._contradicted or last is None or last[0] < published[0]):
            return max(published[0], last[0] if last is not None else 0) + 1, published[1]
        return (last[0] + 1, last[1]) if last is not None else (1, None)

    async def publish(self) -> None:
        """Append every seal that the file lacks."""
        if not self._is_read:
            self._published, self._is_read = await self._on_pool(self._gazette.last), True
        while True:
            held = self._published
            async with self._database.acquire() as db:
                found = await ledger.seals_from(db, held[0] if held is not None else ledger.FIRST, _PAGE)
                pruned, _ = await ledger.pruned(db) if found[:1] != [held] else (0, 0)
            more = len(found) == _PAGE
            if held is not None:
                self._hold_against(held, found, pruned)
                found = [one for one in found if one[0] > held[0]]
            if found:
                # When that fails, what has come into the file is looked up before the next try.
                self._is_read = False
                await self._on_pool(partial(self._gazette.append, [text for _, text in found]))
                self._published, self._is_read = found[-1], True
            if not more:
                return

    def _hold_against(self, held: tuple[int, str], found: list[tuple[int, str]], pruned: int) -> None:
        is_pruned = bool(found) and held[0] <= pruned < found[0][0]
        contradicted = not found or (found[0] != held and not is_pruned)
        if contradicted and not self._contradicted:
            AUDIT_CONTRADICTIONS.inc()
            _log.error(
                "the database's audit seals are not those published: it was restored, or changed; run mdm audit verify",
                seal=held[0],
            )
        self._contradicted = contradicted

    async def _on_pool(self, job: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._pool, job)
