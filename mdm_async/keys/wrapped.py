"""The key store in one Postgres database: secrets wrapped under key-encryption keys (KEKs)."""

import asyncio
import os
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from functools import partial
from typing import Self, TypeVar
from uuid import UUID

import structlog

from mdm_async.errors import Unavailable
from mdm_async.keys import proofs, rewrapping, standing
from mdm_async.keys.ring import KeyRing
from mdm_async.keys.standing import KeyStanding, StoreStanding
from mdm_async.keys.store import IDENTITY, IMAGE, SECRET_BYTES, Intent, Secrets
from mdm_async.postgres.database import Connection, Database

_PAUSE = 10.0
_NAME = "catalog"
"""It lies in the catalog's database."""
_T = TypeVar("_T")

_log = structlog.get_logger()


class WrappedKeys:
    """Needs connections of its own: whoever waits for a key may hold one to the catalog."""

    def __init__(self, database: Database, ring: KeyRing) -> None:
        self._database, self._ring = database, ring

    @classmethod
    async def open(cls, database: Database, keks: Sequence[bytes], installation: UUID) -> Self:
        """With the first KEK in use, and others that still open what they wrapped.

        Raises Unavailable when they do not open all that this database holds.
        """
        async with database.transaction() as db:
            return cls(database, await proofs.prove(db, keks, installation))

    async def register(self, secrets: Mapping[UUID, Secrets]) -> None:
        async with self._database.acquire() as db:
            await db.execute(
                "with given as ("
                "  select * from unnest($1::uuid[], $2::uuid[], $4::bytea[], $5::bytea[])"
                "  as g (registration, image, shared, identifying)"
                "), intended as (insert into mdm_keys.intents (registration, image)"
                "  select registration, image from given)"
                " insert into mdm_keys.image_secrets (registration, image, kind, epoch, wrapped)"
                " select registration, image, 'image', $3::int, shared from given"
                " union all select registration, image, 'identity', $3, identifying from given",
                [one.registration for one in secrets.values()],
                list(secrets),
                self._ring.epoch,
                [self._wrap(one, image, IMAGE) for image, one in secrets.items()],
                [self._wrap(one, image, IDENTITY) for image, one in secrets.items()],
            )

    async def confirm(self, registrations: Collection[UUID]) -> None:
        # Not waiting for the disk: what a crash loses is confirmed by the sweeper.
        async with self._database.transaction(sync=False) as db:
            await db.execute(
                "delete from mdm_keys.intents where registration = any($1::uuid[])", list(registrations)
            )

    async def unconfirmed(self, age: float, count: int) -> list[Intent]:
        async with self._database.acquire() as db:
            rows = await db.fetch(
                "select registration, image from mdm_keys.intents"
                " where at < now() - make_interval(secs => $1) order by at limit $2",
                age,
                count,
            )
        return [Intent(*row) for row in rows]

    async def fetch(self, registrations: Collection[UUID], *, identity: bool) -> dict[UUID, Secrets]:
        async with self._database.acquire() as db:
            rows = await db.fetch(
                "select registration, image, kind, epoch, wrapped from mdm_keys.image_secrets"
                " where registration = any($1::uuid[]) and (kind = 'image' or $2)",
                list(registrations),
                identity,
            )
        found: dict[UUID, dict[str, bytes]] = {}
        registration: dict[UUID, UUID] = {}
        for row in rows:
            owner = (row["registration"].bytes, row["image"].bytes, row["kind"])
            try:
                secret = self._ring.unwrap(row["wrapped"], row["epoch"], *owner)
            except Unavailable:
                continue
            found.setdefault(row["image"], {})[row["kind"]] = secret
            registration[row["image"]] = row["registration"]
        wanted = {IMAGE, IDENTITY} if identity else {IMAGE}
        return {
            image: Secrets(registration[image], kinds[IMAGE], kinds.get(IDENTITY))
            for image, kinds in found.items()
            if wanted <= kinds.keys()
        }

    async def forget(self, registrations: Collection[UUID]) -> None:
        async with self._database.acquire() as db:
            await db.execute(
                "with forgotten as (delete from mdm_keys.intents where registration = any($1::uuid[]))"
                " delete from mdm_keys.image_secrets where registration = any($1::uuid[])",
                list(registrations),
            )

    async def make_project_key(self, project: str) -> bytes:
        fresh = os.urandom(SECRET_BYTES)
        async with self._database.acquire() as db:
            await db.execute(
                "insert into mdm_keys.project_keys (project, epoch, wrapped) values ($1, $2, $3)"
                " on conflict do nothing",
                project,
                self._ring.epoch,
                self._ring.wrap(fresh, "project", project),
            )
        return (await self.project_keys([project]))[project]

    async def project_keys(self, projects: Collection[str]) -> dict[str, bytes]:
        async with self._database.acquire() as db:
            rows = await db.fetch(
                "select project, epoch, wrapped from mdm_keys.project_keys where project = any($1::text[])",
                list(projects),
            )
        return {
            row["project"]: self._ring.unwrap(row["wrapped"], row["epoch"], "project", row["project"])
            for row in rows
        }

    async def status(self) -> KeyStanding:
        try:
            async with self._database.acquire() as db:
                epochs = await standing.epochs(db, self._ring.epoch, self._ring.epochs)
        except Unavailable:
            return KeyStanding((StoreStanding(_NAME, alive=False),), 1)
        return KeyStanding((StoreStanding(_NAME, True, epochs),), 1)

    def wrap_grant(self, secret: bytes, request: UUID, item: int) -> bytes:
        return self._ring.wrap_marked(secret, "grant", request.bytes, item.to_bytes(4, "big"))

    def unwrap_grant(self, wrapped: bytes, request: UUID, item: int) -> bytes:
        return self._ring.unwrap_marked(wrapped, "grant", request.bytes, item.to_bytes(4, "big"))

    def wrap_macaroon(self, root_key: bytes, macaroon: UUID, made: bytes) -> bytes:
        return self._ring.wrap_marked(root_key, "macaroon", macaroon.bytes, made)

    def unwrap_macaroon(self, wrapped: bytes, macaroon: UUID, made: bytes) -> bytes:
        return self._ring.unwrap_marked(wrapped, "macaroon", macaroon.bytes, made)

    async def wrap_anew(self) -> None:
        """Wrap all that is under older KEKs under the one in use. Stopped, it begins again at the next start."""
        if not self._ring.older:
            return
        count = await self._patiently(lambda db: rewrapping.project_keys(db, self._ring))
        after: tuple[UUID, str] | None = (UUID(int=0), "")
        while after is not None:
            page = partial(rewrapping.image_secrets, ring=self._ring, after=after)
            wrapped, after = await self._patiently(page)
            count += wrapped
        _log.info("all stored secrets are wrapped under the key-encryption key in use", anew=count)

    async def _patiently(self, work: Callable[[Connection], Awaitable[_T]]) -> _T:
        while True:
            try:
                async with self._database.acquire() as db:
                    return await work(db)
            except Unavailable as why:
                _log.warning("wrapping anew put off", reason=why.detail)
                await asyncio.sleep(_PAUSE)

    def _wrap(self, secrets: Secrets, image: UUID, kind: str) -> bytes:
        return self._ring.wrap(secrets.of(kind), secrets.registration.bytes, image.bytes, kind)
