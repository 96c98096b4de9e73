"""One Postgres database of wrapped secrets, whole or one share of each, under one ring of key-encryption keys."""

from collections.abc import Awaitable, Callable, Collection, Iterable, Sequence
from typing import NamedTuple, Self
from uuid import UUID, uuid4

import structlog

from mdm_async.errors import MdmError, Unavailable
from mdm_async.keys import proofs, standing
from mdm_async.keys.enrolment import claimed, demand_whole
from mdm_async.keys.metrics import NOT_OPENING
from mdm_async.keys.row_cipher import FORMAT, Held, RowCipher, StoreIdentity
from mdm_async.keys.standing import StoreStanding
from mdm_async.keys.store import Intent
from mdm_async.postgres.database import Database

WRITABLE = "writable as (select from mdm_keys.kek_proofs where epoch = {} and closed is null for key share)"
"""Part of each statement that writes under a key-encryption key: none does under one that is closed."""

_MOST_BYTES = 256
"""What is wrapped is shorter."""

_log = structlog.get_logger()


class Opened(NamedTuple):
    """What was found: the rows that opened, and how many did not."""

    held: list[Held]
    closed: int


class KeyDatabase:
    """Everything is durable when a call returns, but for `confirm`. Raises Unavailable when the database is away."""

    def __init__(self, name: str, database: Database, cipher: RowCipher) -> None:
        self.name, self.database, self.cipher = name, database, cipher
        self.source = ""
        """Where its key-encryption keys come from, for those who run it."""
        self.reread: Callable[[], Awaitable[None]] | None = None
        """Called when something is met under a key-encryption key that is not here: another node may have begun to
        use a new one."""

    def __repr__(self) -> str:
        return f"<KeyDatabase {self.name}>"

    @classmethod
    async def open(
        cls,
        name: str,
        database: Database,
        keks: Sequence[bytes],
        installation: UUID,
    ) -> Self:
        """One that holds whole secrets, with the first KEK in use, and others that still open what they wrapped.

        Raises Unavailable when the KEKs do not open all that this database holds.
        """
        async with database.transaction() as db:
            await demand_whole(db)
            proven = await proofs.prove(db, keks, installation)
            found = await claimed(db, StoreIdentity(uuid4(), 0, installation))
        return cls(name, database, RowCipher(proven.ring, found))

    async def register(self, held: Sequence[Held], *, intended: bool = True) -> None:
        """Rows that are not there yet, all or none; `intended`: with an intent for each registration."""
        if await self._insert(held, intended) or not held:
            return
        await self._read_keks_anew()
        if not await self._insert(held, intended):
            raise _ended(self.name)

    async def _insert(self, held: Sequence[Held], intended: bool) -> int:
        """How many were; none when the key in use has been closed meanwhile."""
        intents = {one.registration: one.image for one in held if intended}
        async with self.database.acquire() as db:
            written = await db.execute(
                f"with {WRITABLE.format('$7::int')}, intended as ("
                "  insert into mdm_keys.intents (registration, image)"
                "  select i.* from writable, unnest($1::uuid[], $2::uuid[]) i)"
                " insert into mdm_keys.image_secrets (registration, image, kind, wrapped, epoch, format)"
                " select registration, image, kind, wrapped, $7, $8"
                " from writable, unnest($3::uuid[], $4::uuid[], $5::text[], $6::bytea[])"
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
        return int(written.split()[-1])

    async def confirm(self, registrations: Collection[UUID]) -> None:
        # Not waiting for the disk: what a crash loses is confirmed by the sweeper.
        async with self.database.acquire() as db:
            await db.execute(
                "with unsynced as materialized (select set_config('synchronous_commit', 'off', true))"
                " delete from mdm_keys.intents where registration = any($1::uuid[])"
                " and exists (select from unsynced)",
                list(registrations),
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
                # However much there is by what somebody made of this table, no more is taken.
                "select registration, kind, image, epoch, format, substr(wrapped, 1, $3) as wrapped"
                " from mdm_keys.image_secrets"
                " where registration = any($1::uuid[]) and kind = any($2::text[]) limit $4",
                list(registrations),
                list(kinds),
                _MOST_BYTES,
                len(registrations) * len(kinds),
            )
        await self._meet(row["epoch"] for row in rows)
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
        """Of shares it is kept in mind: another store's must not bring them back."""
        async with self.database.acquire() as db:
            await db.execute(
                "with unintended as (delete from mdm_keys.intents where registration = any($1::uuid[])),"
                " forgotten as (insert into mdm_keys.forgotten (registration)"
                "  select distinct unnest($1::uuid[]) where $2 on conflict do nothing)"
                " delete from mdm_keys.image_secrets where registration = any($1::uuid[])",
                list(registrations),
                self.cipher.store.share > 0,
            )

    async def forget_lapsed(self, registrations: Collection[UUID], age: float) -> None:
        """Those whose intents here are older than `age` seconds."""
        async with self.database.acquire() as db:
            await db.execute(
                "with lapsed as (delete from mdm_keys.intents where registration = any($1::uuid[])"
                "  and at < now() - make_interval(secs => $2) returning registration),"
                " forgotten as (insert into mdm_keys.forgotten (registration)"
                "  select registration from lapsed where $3 on conflict do nothing)"
                " delete from mdm_keys.image_secrets where registration = any(array(select registration from lapsed))",
                list(registrations),
                age,
                self.cipher.store.share > 0,
            )

    async def withdraw(self, registrations: Collection[UUID]) -> None:
        """What was registered just now, and not by as many stores as it takes."""
        async with self.database.acquire() as db:
            await db.execute(
                "with unintended as (delete from mdm_keys.intents where registration = any($1::uuid[]))"
                " delete from mdm_keys.image_secrets where registration = any($1::uuid[])",
                list(registrations),
            )

    async def add_project_key(self, project: str, key: bytes) -> None:
        """Unless it has one: of two nodes that add one, one wins."""
        if not await self._add_project_key(project, key):
            await self._read_keks_anew()
            if not await self._add_project_key(project, key):
                raise _ended(self.name)

    async def _add_project_key(self, project: str, key: bytes) -> bool:
        """Whether it has one now; not when the key in use has been closed meanwhile."""
        async with self.database.acquire() as db:
            return bool(
                await db.fetchval(
                    f"with {WRITABLE.format('$2::int')}, added as ("
                    "  insert into mdm_keys.project_keys (project, epoch, wrapped, format)"
                    "  select $1, $2, $3, $4 from writable on conflict do nothing)"
                    " select exists (select from writable)",
                    project,
                    self.cipher.ring.epoch,
                    self.cipher.wrap_project_key(project, key),
                    FORMAT,
                )
            )

    async def project_keys(self, projects: Collection[str]) -> dict[str, bytes]:
        """Those that there are. Raises Unavailable when one does not open."""
        async with self.database.acquire() as db:
            rows = await db.fetch(
                "select project, epoch, format, wrapped from mdm_keys.project_keys"
                " where project = any($1::text[])",
                list(projects),
            )
        await self._meet(row["epoch"] for row in rows)
        return {row["project"]: self.cipher.unwrap_project_key(row) for row in rows}

    async def projects_named(self, beginning: str) -> list[str]:
        """Those with keys whose names begin so."""
        async with self.database.acquire() as db:
            rows = await db.fetch(
                "select project from mdm_keys.project_keys where starts_with(project, $1)", beginning
            )
        return [row["project"] for row in rows]

    async def remove_project_keys(self, projects: Collection[str]) -> None:
        """Destroy keys: what is wrapped under them can never be read again."""
        async with self.database.acquire() as db:
            await db.execute(
                "delete from mdm_keys.project_keys where project = any($1::text[])", list(projects)
            )

    async def _meet(self, epochs: Iterable[int]) -> None:
        if not set(epochs) <= set(self.cipher.ring.epochs):
            await self._read_keks_anew()

    async def _read_keks_anew(self) -> None:
        if self.reread is not None:
            try:
                await self.reread()
            except MdmError as why:
                _log.warning("key-encryption keys", store=self.name, reason=str(why))

    async def standing(self) -> StoreStanding:
        ring = self.cipher.ring
        try:
            async with self.database.acquire() as db:
                return await standing.of_store(db, self.name, self.source, ring.epoch, ring.epochs)
        except Unavailable:
            return StoreStanding(self.name, alive=False, source=self.source)


def _ended(store: str) -> Unavailable:
    return Unavailable(
        f"the key-encryption key that this node has for the store {store} has ended",
        remedy="give it the one that other nodes use (mdm keys status)",
    )
