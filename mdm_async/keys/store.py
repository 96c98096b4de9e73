"""The key store in Postgres: each image's two secrets and each project's key, wrapped."""

import os
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING
from uuid import UUID, uuid4

from mdm_async.errors import Unavailable
from mdm_async.keys.wrap import KEY_BYTES, Wrapper

if TYPE_CHECKING:
    import asyncpg

    Connection = asyncpg.Connection[asyncpg.Record] | asyncpg.pool.PoolConnectionProxy[asyncpg.Record]

IMAGE, IDENTITY = "image", "identity"


@dataclass(frozen=True, slots=True, repr=False)
class Secrets:
    """What opens an image. `image` opens the parts of its de-identified views, `identity` all others."""

    registration: UUID
    image: bytes
    identity: bytes | None

    def of(self, kind: str) -> bytes:
        secret = self.identity if kind == IDENTITY else self.image
        if secret is None:
            raise Unavailable("the identity secret was not asked for")
        return secret


def new_secrets() -> Secrets:
    return Secrets(uuid4(), os.urandom(KEY_BYTES), os.urandom(KEY_BYTES))


class KeyStore:
    """Registers and fetches secrets on a connection of the caller's, inside the caller's transaction."""

    def __init__(self, wrapper: Wrapper) -> None:
        self._wrapper = wrapper

    async def prove(self, db: "Connection") -> None:
        """Raises Unavailable when this database's secrets were wrapped under another KEK."""
        await db.execute(
            "insert into mdm_keys.kek_proofs values ($1, $2) on conflict do nothing",
            self._wrapper.epoch,
            self._wrapper.wrap(b"mdm", "proof"),
        )
        wrapped = await db.fetchval(
            "select wrapped from mdm_keys.kek_proofs where epoch = $1", self._wrapper.epoch
        )
        self._wrapper.unwrap(wrapped, self._wrapper.epoch, "proof")

    async def register(self, db: "Connection", image: UUID, secrets: Secrets) -> None:
        """Store an image's secrets; they count once the catalog's row names the registration."""
        rows = [
            (secrets.registration, kind, image, self._wrapper.epoch, self._wrap(secrets, image, kind))
            for kind in (IMAGE, IDENTITY)
        ]
        await db.executemany("insert into mdm_keys.image_secrets values ($1, $2, $3, $4, $5)", rows)

    async def fetch(
        self, db: "Connection", registrations: Iterable[UUID], *, identity: bool
    ) -> dict[UUID, Secrets]:
        """Secrets by image. Without `identity` the identifying secret is neither read nor unwrapped.

        Images whose secrets are missing or do not open are left out.
        """
        rows = await db.fetch(
            "select registration, image, kind, epoch, wrapped from mdm_keys.image_secrets "
            "where registration = any($1::uuid[]) and (kind = 'image' or $2)",
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

    async def forget(self, db: "Connection", registrations: Iterable[UUID]) -> None:
        """Destroy secrets: what they opened can never be read again."""
        await db.execute(
            "delete from mdm_keys.image_secrets where registration = any($1::uuid[])", list(registrations)
        )

    async def make_project_key(self, db: "Connection", project: str) -> bytes:
        """The key of a project's pseudonyms, made if it is not there yet; one winner when two nodes make it.

        It is as durable as the transaction: use it only once that is committed.
        """
        fresh = os.urandom(KEY_BYTES)
        await db.execute(
            "insert into mdm_keys.project_keys values ($1, $2, $3) on conflict do nothing",
            project,
            self._wrapper.epoch,
            self._wrapper.wrap(fresh, "project", project),
        )
        key = await self.project_key(db, project)
        assert key is not None
        return key

    async def project_key(self, db: "Connection", project: str) -> bytes | None:
        """The key of a project's pseudonyms, None when it was never made."""
        row = await db.fetchrow(
            "select epoch, wrapped from mdm_keys.project_keys where project = $1", project
        )
        return self._wrapper.unwrap(row["wrapped"], row["epoch"], "project", project) if row else None

    def wrap_grant(self, secret: bytes, request: UUID, item: int) -> bytes:
        """A transfer's own secret (seed or upload key), bound to its grant."""
        return self._wrapper.wrap(secret, "grant", request.bytes, item.to_bytes(4, "big"))

    def unwrap_grant(self, wrapped: bytes, request: UUID, item: int) -> bytes:
        return self._wrapper.unwrap(
            wrapped, self._wrapper.epoch, "grant", request.bytes, item.to_bytes(4, "big")
        )

    def _wrap(self, secrets: Secrets, image: UUID, kind: str) -> bytes:
        return self._wrapper.wrap(secrets.of(kind), secrets.registration.bytes, image.bytes, kind)
