"""The key store in one Postgres database, the catalog's: whole secrets, wrapped under key-encryption keys (KEKs)."""

import os
from collections.abc import Collection, Mapping, Sequence
from typing import Self
from uuid import UUID

from mdm_async.keys import rewrapping
from mdm_async.keys.key_database import KeyDatabase
from mdm_async.keys.ring import KeyRing
from mdm_async.keys.row_cipher import Held
from mdm_async.keys.standing import KeyStanding
from mdm_async.keys.store import IDENTITY, IMAGE, SECRET_BYTES, Forgotten, Intent, Secrets
from mdm_async.keys.transfer_secrets import TransferSecrets
from mdm_async.postgres.database import Database


class WrappedKeys(TransferSecrets):
    """Needs connections of its own: whoever waits for a key may hold one to the catalog."""

    def __init__(self, store: KeyDatabase) -> None:
        self._store = store

    @classmethod
    async def open(cls, database: Database, keks: Sequence[bytes], installation: UUID) -> Self:
        """Raises Unavailable when the KEKs do not open all that this database holds."""
        return cls(await KeyDatabase.open("catalog", database, keks, installation))

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

    async def fetch(self, registrations: Collection[UUID], *, identity: bool) -> dict[UUID, Secrets]:
        kinds = (IMAGE, IDENTITY) if identity else (IMAGE,)
        found: dict[tuple[UUID, UUID], dict[str, bytes]] = {}
        for held in (await self._store.read(registrations, kinds)).held:
            found.setdefault((held.image, held.registration), {})[held.kind] = held.value
        return {
            image: Secrets(registration, values[IMAGE], values.get(IDENTITY))
            for (image, registration), values in found.items()
            if len(values) == len(kinds)
        }

    async def forget(self, registrations: Collection[UUID]) -> Forgotten:
        await self._store.forget(registrations)
        return Forgotten((self._store.name,), ())

    async def holders(self, registrations: Collection[UUID]) -> dict[str, frozenset[UUID] | None]:
        return {self._store.name: await self._store.holding(registrations)}

    async def make_good(self, registrations: Collection[UUID]) -> None:
        """There is nothing that it could be made good from."""

    async def make_project_key(self, project: str) -> bytes:
        await self._store.add_project_key(project, os.urandom(SECRET_BYTES))
        return (await self.project_keys([project]))[project]

    async def project_keys(self, projects: Collection[str]) -> dict[str, bytes]:
        return await self._store.project_keys(projects)

    async def status(self) -> KeyStanding:
        return KeyStanding((await self._store.standing(),), 1)

    async def wrap_anew(self) -> None:
        """Wrap all that is under older KEKs under the one in use. Stopped, it begins again at the next start."""
        await rewrapping.wrap_anew(self._store)

    @property
    def _transfer_ring(self) -> KeyRing:
        return self._store.cipher.ring
