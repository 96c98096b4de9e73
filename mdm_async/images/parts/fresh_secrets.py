"""New images' secrets on their way into the key store: registered before the catalog names them, confirmed after."""

import time
from collections.abc import Awaitable, Callable, Collection, Sequence
from contextlib import suppress
from types import TracebackType
from typing import Self
from uuid import UUID

from mdm_async.catalog.holdings import registrations
from mdm_async.errors import MdmError, Unavailable
from mdm_async.images.uninterrupted import uninterrupted
from mdm_async.keys.store import LAPSE, Intent, KeyStore, Secrets, new_secrets
from mdm_async.postgres.database import Connection, Database


class FreshSecrets:
    """Secrets of images that one transaction names, as a context. Of those not given to `keep` nothing stays behind."""

    def __init__(self, database: Database, keys: KeyStore) -> None:
        self._database, self._keys = database, keys
        self._made: dict[UUID, Secrets] = {}
        self._kept: set[UUID] = set()
        self._begun: float | None = None

    async def __aenter__(self) -> Self:
        return self

    def of(self, image: UUID) -> Secrets:
        """Made now; they are nowhere yet."""
        return self._made.setdefault(image, new_secrets())

    async def announce(self) -> None:
        """Have all of them stored. Call it when all else is ready: from then on there is limited time."""
        # Known before it is done: whoever is cancelled in between withdraws it.
        self._begun = _now()
        await self._keys.register(self._made)

    async def be_named(self, db: Connection) -> None:
        """In the transaction that makes the images' rows, before these. Raises Unavailable when time is over."""
        await registrations.being_named(db, [made.registration for made in self._made.values()])
        self.demand_in_time()

    def demand_in_time(self) -> None:
        """As `be_named`, once nobody judges any more: who did before judged registrations that were older."""
        if self._begun is None or _now() - self._begun > LAPSE / 2:
            raise Unavailable("storing the image's secrets took too long", remedy="try again")

    def keep(self, images: Collection[UUID]) -> None:
        """The catalog names these now, by a transaction that has been committed."""
        self._kept.update(images)

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._begun is None:
            return
        # A client that went away cancels us, and must not leave secrets behind.
        await uninterrupted(self._end())

    async def _end(self) -> None:
        kept = [self._made[image].registration for image in self._kept]
        # A commit whose answer was lost has named the others: the catalog is asked.
        others = [
            Intent(made.registration, image) for image, made in self._made.items() if image not in self._kept
        ]
        with suppress(MdmError):  # what fails here, the sweeper does later
            if kept:
                await self._keys.confirm(kept)
            if others:
                await settle(self._database, self._keys, others, self._keys.forget)


async def settle(
    database: Database,
    keys: KeyStore,
    intents: Sequence[Intent],
    forget: Callable[[Collection[UUID]], Awaitable[object]],
) -> None:
    """Confirm what the catalog names, `forget` what it does not name and nobody is going to let it name."""
    async with database.transaction() as db:
        named, unnamed = await registrations.judged(db, intents)
    if named:
        await keys.confirm(named)
    if unnamed:
        await forget(unnamed)


def _now() -> float:
    """Seconds, on a clock that goes on while the machine sleeps."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)
