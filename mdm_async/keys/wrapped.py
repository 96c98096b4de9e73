"""The key store in one Postgres database: secrets wrapped under a key-encryption key."""

import os
from collections.abc import Collection, Mapping
from uuid import UUID

from mdm_async.errors import Unavailable
from mdm_async.keys.store import IDENTITY, IMAGE, SECRET_BYTES, Intent, Secrets
from mdm_async.keys.wrap import Wrapper
from mdm_async.postgres.database import Database


class WrappedKeys:
    """Needs connections of its own: whoever waits for a key may hold one to the catalog."""

    def __init__(self, database: Database, wrapper: Wrapper) -> None:
        self._database, self._wrapper = database, wrapper

    async def prove(self) -> None:
        """Raises Unavailable when this database's secrets were wrapped under another KEK."""
        async with self._database.acquire() as db:
            await db.execute(
                "insert into mdm_keys.kek_proofs values ($1, $2) on conflict do nothing",
                self._wrapper.epoch,
                self._wrapper.wrap(b"mdm", "proof"),
            )
            wrapped = await db.fetchval(
                "select wrapped from mdm_keys.kek_proofs where epoch = $1", self._wrapper.epoch
            )
        self._wrapper.unwrap(wrapped, self._wrapper.epoch, "proof")

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
                self._wrapper.epoch,
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
                secret = self._wrapper.unwrap(row["wrapped"], row["epoch"], *owner)
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
                self._wrapper.epoch,
                self._wrapper.wrap(fresh, "project", project),
            )
        return (await self.project_keys([project]))[project]

    async def project_keys(self, projects: Collection[str]) -> dict[str, bytes]:
        async with self._database.acquire() as db:
            rows = await db.fetch(
                "select project, epoch, wrapped from mdm_keys.project_keys where project = any($1::text[])",
                list(projects),
            )
        return {
            row["project"]: self._wrapper.unwrap(row["wrapped"], row["epoch"], "project", row["project"])
            for row in rows
        }

    def wrap_grant(self, secret: bytes, request: UUID, item: int) -> bytes:
        return self._wrapper.wrap(secret, "grant", request.bytes, item.to_bytes(4, "big"))

    def unwrap_grant(self, wrapped: bytes, request: UUID, item: int) -> bytes:
        return self._wrapper.unwrap(
            wrapped, self._wrapper.epoch, "grant", request.bytes, item.to_bytes(4, "big")
        )

    def _wrap(self, secrets: Secrets, image: UUID, kind: str) -> bytes:
        return self._wrapper.wrap(secrets.of(kind), secrets.registration.bytes, image.bytes, kind)
