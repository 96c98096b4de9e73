"""Numbered SQL migrations: files NNNN_name.sql in a package's folder `migrations`, each applied once.

Expand, then contract: a migration must leave the schema usable for the version before it.
"""

import hashlib
import re
from dataclasses import dataclass
from importlib.resources import files
from typing import TYPE_CHECKING

import asyncpg
import structlog

from mdm_async.errors import UnsafeSettings

if TYPE_CHECKING:
    Connection = asyncpg.Connection[asyncpg.Record] | asyncpg.pool.PoolConnectionProxy[asyncpg.Record]

FILE_NAME = re.compile(r"(\d{4})_([a-z0-9_]+)\.sql")
LOCK = 0x6D646D5F6D6967  # "mdm_mig": one migrator at a time per database
REGISTER = """
create table if not exists {} (
    room    text not null,
    number  integer not null,
    name    text not null,
    sha256  bytea not null,
    applied timestamptz not null default now(),
    primary key (room, number)
)
"""

# Not in a schema that migrations make: it is the first one for a role of its name, once it is there.
_WHERE = """
select quote_ident(name) || '.schema_migrations'
from unnest(current_schemas(false)) with ordinality as path (name, place)
where name <> 'mdm_keys' order by place limit 1
"""

log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class Migration:
    number: int
    name: str
    sql: str

    @property
    def sha256(self) -> bytes:
        return hashlib.sha256(self.sql.encode()).digest()


def migrations_of(package: str) -> list[Migration]:
    """The migrations that `package` brings, in order. Raises ValueError unless they count 1, 2, 3, …"""
    found = [
        Migration(int(named[1]), named[2], file.read_text(encoding="utf-8"))
        for file in (files(package) / "migrations").iterdir()
        if (named := FILE_NAME.fullmatch(file.name)) is not None
    ]
    found.sort(key=lambda migration: migration.number)
    if [migration.number for migration in found] != list(range(1, len(found) + 1)):
        raise ValueError(f"the migrations of {package} do not count 1, 2, 3, …")
    return found


async def migrate(connection: "Connection", package: str) -> int:
    """Bring the database up to what `package` knows; returns how many migrations were applied.

    Each runs in its own transaction. Nodes that start at once take turns. Raises UnsafeSettings when the
    database is ahead of this software, or was made by different migrations.
    """
    known = migrations_of(package)
    await connection.execute("select pg_advisory_lock($1)", LOCK, timeout=None)
    try:
        register = await _register(connection)
        await connection.execute(REGISTER.format(register))
        applied = await connection.fetch(
            f"select number, name, sha256 from {register} where room = $1 order by number", package
        )
        _check(package, known, applied)
        for migration in known[len(applied) :]:
            async with connection.transaction():
                await connection.execute(migration.sql, timeout=None)
                await connection.execute(
                    f"insert into {register} (room, number, name, sha256) values ($1, $2, $3, $4)",
                    *(package, migration.number, migration.name, migration.sha256),
                )
            log.info("applied a migration", room=package, number=migration.number, name=migration.name)
        return len(known) - len(applied)
    finally:
        if not connection.is_closed():
            await connection.execute("select pg_advisory_unlock($1)", LOCK)


async def schema(connection: "Connection") -> dict[str, int]:
    """The number of the last migration of each room."""
    rows = await connection.fetch(
        f"select room, max(number) as last from {await _register(connection)} group by room order by room"
    )
    return {row["room"]: row["last"] for row in rows}


async def _register(connection: "Connection") -> str:
    """The table in which migrations are noted, with its schema."""
    found: str | None = await connection.fetchval(_WHERE)
    return found or "public.schema_migrations"


def _check(package: str, known: list[Migration], applied: list[asyncpg.Record]) -> None:
    """Whether what was applied is the beginning of what is known."""
    if len(applied) > len(known):
        raise UnsafeSettings(
            f"the database's schema of {package} is at {applied[-1]['number']}, "
            f"and this mdm knows only up to {len(known)}",
            remedy="upgrade mdm on this node to the version of the others",
        )
    for place, row in enumerate(applied):
        if row["number"] != place + 1:
            raise UnsafeSettings(
                f"migration {place + 1} of {package} is missing from the database's schema_migrations",
                remedy="restore the database from a backup",
            )
        if bytes(row["sha256"]) != known[place].sha256:
            raise UnsafeSettings(
                f"migration {row['number']} ({row['name']}) of {package} is not the one that was applied",
                remedy="run the mdm version that made the database, or a later one",
            )
