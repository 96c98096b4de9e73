"""The key store in several Postgres databases, each with a share of every secret and key-encryption keys of its own.

No one of them, nor the catalog's, tells anything of a secret; any `threshold` of them give it.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import Self
from uuid import UUID

from mdm_async.errors import Conflict, Unavailable
from mdm_async.keys import named_keys
from mdm_async.keys.enrolment import begin, enrol
from mdm_async.keys.repair import make_good, repair_forever
from mdm_async.keys.row_cipher import Held
from mdm_async.keys.share_store import PATIENCE, ShareStore
from mdm_async.keys.shares import Shares
from mdm_async.keys.sources import KekSource
from mdm_async.keys.standing import KeyStanding
from mdm_async.keys.store import IDENTITY, IMAGE, Fetched, Forgotten, Intent, Secrets
from mdm_async.keys.transfer_secrets import TransferSecrets, WrapsTransfers
from mdm_async.postgres.database import Database
from mdm_async.settings.keys import KeySettings

_POOL = 4


@dataclass(frozen=True, slots=True, repr=False)
class StorePlace:
    """Where a store is, and where its key-encryption keys come from."""

    name: str
    dsn: str
    source: KekSource


def places_of(settings: KeySettings, sources: Mapping[str, KekSource]) -> list[StorePlace]:
    """Of `[[keys.stores]]`."""
    return [
        StorePlace(store.name, store.dsn.get_secret_value(), sources[store.name])
        for store in settings.stores
        if store.dsn is not None
    ]


class SplitKeys(WrapsTransfers):
    def __init__(self, shares: Shares, names: Database, installation: UUID, lapse: float) -> None:
        self.shares, self._names = shares, names
        self._transfers = TransferSecrets(self, installation, lapse)
        self._transfer_keys: dict[int, bytes] = {}

    @classmethod
    @asynccontextmanager
    async def open(
        cls,
        names: Database,
        places: Sequence[StorePlace],
        threshold: int,
        installation: UUID,
        node: str,
        lapse: float,
        again: Callable[[Unavailable], Awaitable[None]] | None = None,
    ) -> AsyncIterator[Self]:
        """For the context. `names`: the catalog's database, which names shared keys' registrations. `lapse`: seconds
        that secrets of transfers may be needed. `again`: awaited when too few stores answer, before they are asked
        once more.

        Raises UnsafeSettings when a store is not what it should be, Unavailable when too few answer and there is no
        `again`.
        """
        async with names.transaction() as db:
            identities = await enrol(db, [place.name for place in places], threshold, installation)
        async with AsyncExitStack() as stack:
            stores = []
            for place in places:
                # None is made yet: the store may be away.
                pool = Database.connect(place.dsn, pool_size=_POOL, min_size=0, acquire_timeout=PATIENCE)
                database = await stack.enter_async_context(pool)
                stores.append(
                    ShareStore(place.name, place.dsn, identities[place.name], place.source, database, node)
                )
            for store in stores:
                store.peers = stores
            shares = Shares(stores, threshold)
            stack.push_async_callback(shares.close)
            opened = cls(shares, names, installation, lapse)
            while True:
                try:
                    await opened._begin()
                    break
                except Unavailable as why:
                    if again is None:
                        raise
                    await again(why)
            yield opened

    async def _begin(self) -> None:
        await self.shares.open()
        async with self._names.acquire() as db:
            await begin(db)
        await self._transfers.read()

    async def forever(self) -> None:
        """See stores come back, make good what they missed, follow the keys that other nodes make."""
        async with asyncio.TaskGroup() as group:
            for store in self.shares.stores:
                group.create_task(store.watch())
                group.create_task(store.keep_keks())
            group.create_task(repair_forever(self.shares))
            group.create_task(self._transfers.forever())

    async def register(self, secrets: Mapping[UUID, Secrets]) -> None:
        await self.shares.register(
            [
                Held(one.registration, image, kind, one.of(kind))
                for image, one in secrets.items()
                for kind in (IMAGE, IDENTITY)
            ],
            intended=True,
        )

    async def confirm(self, registrations: Collection[UUID]) -> None:
        await self.shares.confirm(registrations)

    async def unconfirmed(self, age: float, count: int) -> list[Intent]:
        return await self.shares.unconfirmed(age, count)

    async def fetch(self, registrations: Collection[UUID], *, identity: bool) -> Fetched:
        kinds = (IMAGE, IDENTITY) if identity else (IMAGE,)
        found = await self.shares.read([(one, kind) for one in registrations for kind in kinds])
        secrets, untold = {}, set()
        for registration in registrations:
            held = [one for kind in kinds if (one := found.secrets.get((registration, kind))) is not None]
            if len(held) == len(kinds):
                image, *identifying = held
                secrets[image.image] = Secrets(
                    registration, image.value, identifying[0].value if identifying else None
                )
            elif all(
                (registration, kind) in found.secrets or (registration, kind) in found.untold
                for kind in kinds
            ):
                untold.add(registration)
        return Fetched(secrets, untold)

    async def forget(self, registrations: Collection[UUID]) -> Forgotten:
        return await self.shares.forget(registrations)

    async def forget_lapsed(self, registrations: Collection[UUID], age: float) -> None:
        await self.shares.forget_lapsed(registrations, age)

    async def holders(self, registrations: Collection[UUID]) -> dict[str, frozenset[UUID] | None]:
        held = await self.shares.ask(lambda keys: keys.holding(registrations))
        return {store.name: answer for store, answer in held.items()}

    async def make_good(self, registrations: Collection[UUID]) -> None:
        await make_good(self.shares, registrations)

    async def make_project_key(self, project: str) -> bytes:
        if project not in await self.project_keys([project]):
            await named_keys.make_project_key(self._names, self.shares, project)
        return (await self.project_keys([project]))[project]

    async def take_project_key(self, project: str, key: bytes) -> None:
        await named_keys.take_project_key(self._names, self.shares, project, key)

    async def project_keys(self, projects: Collection[str]) -> dict[str, bytes]:
        return await named_keys.project_keys(self._names, self.shares, projects)

    async def status(self) -> KeyStanding:
        standing = await asyncio.gather(*(store.standing() for store in self.shares.stores))
        return KeyStanding(tuple(standing), self.shares.threshold)

    async def rotate(self, gone: Collection[str] = ()) -> None:
        keepers = [store.keeper for store in self.shares.up if store.keeper is not None]
        if len(keepers) < len(self.shares.stores):
            away = ", ".join(store.name for store in self.shares.stores if not store.up)
            raise Unavailable(
                f"key stores are away: {away}", remedy="rotate when all are there (mdm keys status)"
            )
        begun, lacking = [], []
        for keeper in keepers:
            await keeper.strike_off(gone)
        for keeper in keepers:
            try:
                await keeper.rotate()
            except Conflict as why:
                lacking.append(why)
            else:
                begun.append(keeper.store.name)
        if begun:
            await self._transfers.add()
        # Who brings new keys one after the other is kept from no store by another that has none.
        if lacking:
            told = [one.detail for one in lacking] + ([f"{', '.join(begun)} began"] if begun else [])
            raise Conflict("; ".join(told), remedy=lacking[0].remedy)

    async def transfer_keys(self) -> dict[int, bytes]:
        named = await named_keys.transfer_keys(self._names)
        lacking = {str(made): one for made, one in named.items() if made not in self._transfer_keys}
        read = await named_keys.readable(self.shares, named_keys.TRANSFER, lacking)
        known = self._transfer_keys | {int(made): key for made, key in read.items()}
        # One that is being removed stays named until the last store has destroyed it.
        self._transfer_keys = {made: known[made] for made in named if made in known}
        if named and not self._transfer_keys:
            raise named_keys.unreadable(named_keys.TRANSFER)
        return self._transfer_keys

    async def add_transfer_key(self, made: int, key: bytes) -> None:
        await named_keys.add_transfer_key(self._names, self.shares, made, key)

    async def remove_transfer_keys(self, before: int) -> None:
        for made, registration in (await named_keys.transfer_keys(self._names)).items():
            if made < before:
                await named_keys.remove_transfer_key(self._names, self.shares, made, registration)
