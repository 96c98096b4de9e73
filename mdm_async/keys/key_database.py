"""One Postgres database of wrapped secrets, whole or one share of each, under one ring of key-encryption keys."""

from collections.abc import Collection, Sequence
from typing import NamedTuple, Self
from uuid import UUID, uuid4

import structlog

from mdm_async.errors import Unavailable
from mdm_async.keys import proofs, standing
from mdm_async.keys.metrics import NOT_OPENING
from mdm_async.keys.row_cipher import FORMAT, Held, RowCipher, StoreIdentity
from mdm_async.keys.standing import StoreStanding
from mdm_async.keys.store import Intent
from mdm_async.postgres.database import Connection, Database

_log = structlog.get_logger()


class Opened(NamedTuple):
    """What was found: the rows that opened, and how many did not."""

    held: list[Held]
    closed: int


class KeyDatabase:
    """Everything is durable when a call returns, but for `confirm`. Raises Unavailable when the database is away."""

    def __init__(self, name: str, database: Database, cipher: RowCipher) -> None:
        self.name, self.database, self.cipher = name, database, cipher

    def __repr__(self) -> str:
        return f"<KeyDatabase {self.name}>"

    @classmethod
    async def open(
        cls,
        name: str,
        database: Database,
        keks: Sequence[bytes],
        installation: UUID,
        identity: StoreIdentity | None = None,
    ) -> Self:
        """With the first KEK in use, and others that still open what they wrapped. One that holds whole secrets has
        no `identity` given; it makes its own.

        Raises Unavailable when the KEKs do not open all that this database holds.
        """
        async with database.transaction() as db:
            ring = await proofs.prove(db, keks, installation)
            found = await claimed(db, identity or StoreIdentity(uuid4(), 0, installation))
        return cls(name, database, RowCipher(ring, found))

    async def register(self, held: Sequence[Held]) -> None:
        """Rows that are not there yet, with an intent for each registration. All or none."""
        intents = {one.registration: one.image for one in held}
        async with self.database.acquire() as db:
            await db.execute(
                "with intended as (insert into mdm_keys.intents (registration, image)"
                "  select * from unnest($1::uuid[], $2::uuid[]))"
                " insert into mdm_keys.image_secrets (registration, image, kind, wrapped, epoch, format)"
                " select registration, image, kind, wrapped, $7, $8"
                " from unnest($3::uuid[], $4::uuid[], $5::text[], $6::bytea[])"
                " as given (registration, image, kind, wrapped)",
                list(intents.keys()),
                list(intents.values()),
                [one.registration for one in held],
                [one.image for one in held],
                [one.kind for one in held],
                [self.cipher.wrap(one) for one in held],
                self.cipher.ring.epoch,
                FORMAT,
            )

    async def confirm(self, registrations: Collection[UUID]) -> None:
        # Not waiting for the disk: what a crash loses is confirmed by the sweeper.
        async with self.database.transaction(sync=False) as db:
            await db.execute(
                "delete from mdm_keys.intents where registration = any($1::uuid[])", list(registrations)
            )

    async def unconfirmed(self, age: float, count: int) -> list[Intent]:
        """Intents that are older than `age` seconds, the oldest first."""
        async with self.database.acquire() as db:
            rows = await db.fetch(
                "select registration, image from mdm_keys.intents"
                " where at < now() - make_interval(secs => $1) order by at limit $2",
                age,
                count,
            )
        return [Intent(*row) for row in rows]

    async def read(self, registrations: Collection[UUID], kinds: Collection[str]) -> Opened:
        """The rows of these kinds, of thousands in one round."""
        async with self.database.acquire() as db:
            rows = await db.fetch(
                "select registration, kind, image, epoch, format, wrapped from mdm_keys.image_secrets"
                " where registration = any($1::uuid[]) and kind = any($2::text[])",
                list(registrations),
                list(kinds),
            )
        held, closed = [], 0
        for row in rows:
            try:
                held.append(self.cipher.unwrap(row))
            except Unavailable:
                closed += 1
        if closed:
            NOT_OPENING.labels(self.name).inc(closed)
            _log.error("stored secrets do not open", store=self.name, rows=closed)
        return Opened(held, closed)

    async def holding(self, registrations: Collection[UUID]) -> frozenset[UUID]:
        """Those that have all their rows here."""
        async with self.database.acquire() as db:
            rows = await db.fetch(
                "select registration from mdm_keys.image_secrets where registration = any($1::uuid[])"
                " group by registration having count(*) = 2",
                list(registrations),
            )
        return frozenset(row["registration"] for row in rows)

    async def forget(self, registrations: Collection[UUID]) -> None:
        async with self.database.acquire() as db:
            await db.execute(
                "with forgotten as (delete from mdm_keys.intents where registration = any($1::uuid[]))"
                " delete from mdm_keys.image_secrets where registration = any($1::uuid[])",
                list(registrations),
            )

    async def add_project_key(self, project: str, key: bytes) -> None:
        """Unless it has one: of two nodes that add one, one wins."""
        async with self.database.acquire() as db:
            await db.execute(
                "insert into mdm_keys.project_keys (project, epoch, wrapped, format) values ($1, $2, $3, $4)"
                " on conflict do nothing",
                project,
                self.cipher.ring.epoch,
                self.cipher.wrap_project_key(project, key),
                FORMAT,
            )

    async def project_keys(self, projects: Collection[str]) -> dict[str, bytes]:
        """Those that there are. Raises Unavailable when one does not open."""
        async with self.database.acquire() as db:
            rows = await db.fetch(
                "select project, epoch, format, wrapped from mdm_keys.project_keys"
                " where project = any($1::text[])",
                list(projects),
            )
        return {row["project"]: self.cipher.unwrap_project_key(row) for row in rows}

    async def standing(self) -> StoreStanding:
        ring = self.cipher.ring
        try:
            async with self.database.acquire() as db:
                epochs = await standing.epochs(db, ring.epoch, ring.epochs)
        except Unavailable:
            return StoreStanding(self.name, alive=False)
        return StoreStanding(self.name, True, epochs)


async def claimed(db: Connection, wanted: StoreIdentity) -> StoreIdentity:
    """The identity of this database, which is the wanted one if it had none yet."""
    await db.execute(
        "insert into mdm_keys.store (id, share, installation) values ($1, $2, $3) on conflict do nothing",
        wanted.id,
        wanted.share,
        wanted.installation,
    )
    row = await db.fetchrow("select id, share, installation from mdm_keys.store")
    assert row is not None
    return StoreIdentity(**row)
