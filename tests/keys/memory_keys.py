"""A key store that is no database: everything in a dictionary, as long as the test lasts."""

import os
import time
from collections.abc import Collection, Mapping
from dataclasses import replace
from uuid import UUID

from mdm_async.errors import NotSupported, Unavailable
from mdm_async.keys.standing import KeyStanding, StoreStanding
from mdm_async.keys.store import Fetched, Forgotten, Intent, Secrets


class MemoryKeys:
    """What every key store must do, and nothing of how ours does it."""

    def __init__(self) -> None:
        self.images: dict[UUID, tuple[UUID, Secrets]] = {}
        self.intents: dict[UUID, float] = {}
        self._projects: dict[str, bytes] = {}
        self._grants: dict[bytes, tuple[bytes, UUID, int]] = {}

    async def register(self, secrets: Mapping[UUID, Secrets]) -> None:
        for image, one in secrets.items():
            self.images[one.registration] = (image, one)
            self.intents[one.registration] = time.monotonic()

    async def confirm(self, registrations: Collection[UUID]) -> None:
        for registration in registrations:
            self.intents.pop(registration, None)

    async def unconfirmed(self, age: float, count: int) -> list[Intent]:
        now = time.monotonic()
        old = [registration for registration, at in self.intents.items() if now - at > age]
        return [Intent(registration, self.images[registration][0]) for registration in old[:count]]

    async def fetch(self, registrations: Collection[UUID], *, identity: bool) -> Fetched:
        found = [self.images[one] for one in registrations if one in self.images]
        return Fetched({image: one if identity else replace(one, identity=None) for image, one in found})

    async def forget(self, registrations: Collection[UUID]) -> Forgotten:
        for registration in registrations:
            self.images.pop(registration, None)
            self.intents.pop(registration, None)
        return Forgotten(("memory",), ())

    async def forget_lapsed(self, registrations: Collection[UUID], age: float) -> None:
        now = time.monotonic()
        await self.forget([one for one in registrations if now - self.intents.get(one, now) > age])

    async def holders(self, registrations: Collection[UUID]) -> dict[str, frozenset[UUID] | None]:
        return {"memory": frozenset(one for one in registrations if one in self.images)}

    async def make_good(self, registrations: Collection[UUID]) -> None:
        """There is one store."""

    async def make_project_key(self, project: str) -> bytes:
        return self._projects.setdefault(project, os.urandom(32))

    async def project_keys(self, projects: Collection[str]) -> dict[str, bytes]:
        return {project: self._projects[project] for project in projects if project in self._projects}

    async def rotate(self, gone: Collection[str]) -> None:
        raise NotSupported("there is no key-encryption key")

    async def status(self) -> KeyStanding:
        return KeyStanding((StoreStanding("memory", alive=True),), 1)

    def wrap_grant(self, secret: bytes, request: UUID, item: int) -> bytes:
        wrapped = os.urandom(16)
        self._grants[wrapped] = (secret, request, item)
        return wrapped

    def unwrap_grant(self, wrapped: bytes, request: UUID, item: int) -> bytes:
        secret, *owner = self._grants.get(wrapped, (b"",))
        if owner != [request, item]:
            raise Unavailable("a stored secret does not open")
        return secret
