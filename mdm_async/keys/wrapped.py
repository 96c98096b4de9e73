"""The key store in one Postgres database, the catalog's: whole secrets, wrapped under key-encryption keys (KEKs)."""

import asyncio
import os
from collections.abc import Collection, Mapping
from typing import Self
from uuid import UUID

from mdm_async.keys import retiring
from mdm_async.keys.keeper import KekKeeper
from mdm_async.keys.key_database import KeyDatabase
from mdm_async.keys.ring import KeyRing
from mdm_async.keys.row_cipher import Held
from mdm_async.keys.sources import KekSource
from mdm_async.keys.standing import KeyStanding
from mdm_async.keys.store import IDENTITY, IMAGE, SECRET_BYTES, Fetched, Forgotten, Intent, Secrets
from mdm_async.keys.transfer_secrets import TransferSecrets, WrapsTransfers
from mdm_async.postgres.database import Database

_TRANSFERS = "/transfers/"
"""No project's name begins like that."""


class WrappedKeys(WrapsTransfers):
    """Needs connections of its own: whoever waits for a key may hold one to the catalog."""

    def __init__(self, store: KeyDatabase, keeper: KekKeeper, lapse: float) -> None:
        self._store, self.keeper = store, keeper
        self._transfers = TransferSecrets(
            self, store.cipher.store.installation, lapse, lambda: store.cipher.ring
        )

    @classmethod
    async def open(
        cls, database: Database, source: KekSource, installation: UUID, node: str, lapse: float
    ) -> Self:
        """`lapse`: seconds that secrets of transfers may be needed.

        Raises Unavailable when the KEKs do not open all that this database holds.
        """
        store = await KeyDatabase.open("catalog", database, await source.read(), installation)
        async with database.acquire() as db:
            await retiring.expect_transfers(db, lapse)
        keeper = KekKeeper(store, source, node)
        await keeper.begin()
        opened = cls(store, keeper, lapse)
        await opened._transfers.read()
        return opened

    async def forever(self) -> None:
        """Keep the keys that others are wrapped under."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self.keeper.forever())
            group.create_task(self._transfers.forever())

    async def rotate(self, gone: Collection[str] = ()) -> None:
        await self.keeper.strike_off(gone)
        await self.keeper.rotate()
        await self._transfers.add()

    async def transfer_keys(self) -> dict[int, bytes]:
        found = await self._store.project_keys(await self._store.projects_named(_TRANSFERS))
        return {int(name.removeprefix(_TRANSFERS)): key for name, key in found.items()}

    async def add_transfer_key(self, made: int, key: bytes) -> None:
        await self._store.add_project_key(f"{_TRANSFERS}{made}", key)

    async def remove_transfer_keys(self, before: int) -> None:
        named = await self._store.projects_named(_TRANSFERS)
        if gone := [name for name in named if int(name.removeprefix(_TRANSFERS)) < before]:
            await self._store.remove_project_keys(gone)

    async def register(self, secrets: Mapping[UUID, Secrets]) -> None:
        await self._store.register(
            [
                Held(one.registration, image, kind, one.of(kind))
                for image, one in secrets.items()
                for kind in (IMAGE, IDENTITY)
            ]
        )

    async def confirm(self, registrations: Collection[UUID]) -> None:
        await self._store.confirm(registrations)

    async def unconfirmed(self, age: float, count: int) -> list[Intent]:
        return await self._store.unconfirmed(age, count)

    async def fetch(self, registrations: Collection[UUID], *, identity: bool) -> Fetched:
        kinds = (IMAGE, IDENTITY) if identity else (IMAGE,)
        found: dict[tuple[UUID, UUID], dict[str, bytes]] = {}
        for held in (await self._store.read(registrations, kinds)).held:
            found.setdefault((held.image, held.registration), {})[held.kind] = held.value
        return Fetched(
            {
                image: Secrets(registration, values[IMAGE], values.get(IDENTITY))
                for (image, registration), values in found.items()
                if len(values) == len(kinds)
            }
        )

    async def forget(self, registrations: Collection[UUID]) -> Forgotten:
        await self._store.forget(registrations)
        return Forgotten((self._store.name,), ())

    async def forget_lapsed(self, registrations: Collection[UUID], age: float) -> None:
        await self._store.forget_lapsed(registrations, age)

    async def holders(self, registrations: Collection[UUID]) -> dict[str, frozenset[UUID] | None]:
        return {self._store.name: await self._store.holding(registrations)}

    async def make_good(self, registrations: Collection[UUID]) -> None:
        """There is nothing that it could be made good from."""

    async def make_project_key(self, project: str) -> bytes:
        await self._store.add_project_key(project, os.urandom(SECRET_BYTES))
        return (await self.project_keys([project]))[project]

    async def take_project_key(self, project: str, key: bytes) -> None:
        await self._store.remove_project_keys([project])
        await self._store.add_project_key(project, key)

    async def project_keys(self, projects: Collection[str]) -> dict[str, bytes]:
        return await self._store.project_keys(projects)

    async def status(self) -> KeyStanding:
        return KeyStanding((await self._store.standing(),), 1)

    @property
    def _transfer_ring(self) -> KeyRing:
        return self._store.cipher.ring
