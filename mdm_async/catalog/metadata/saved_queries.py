"""Queries that users keep at directories under names, sealed: the catalog can tell nothing of them."""

from dataclasses import dataclass
from datetime import datetime

import asyncpg

from mdm_async.errors import Exists, NotFound
from mdm_async.postgres.database import Connection


@dataclass(frozen=True, slots=True)
class Kept:
    name: str
    sealed: bytes
    made_by: str
    made: datetime


async def at_directory(db: Connection, directory: int) -> list[Kept]:
    """By name; there are at most some hundred."""
    rows = await db.fetch("select * from saved_queries where directory = $1 order by name", directory)
    return [_kept(row) for row in rows]


async def get(db: Connection, directory: int, name: str) -> Kept | None:
    row = await db.fetchrow("select * from saved_queries where directory = $1 and name = $2", directory, name)
    return None if row is None else _kept(row)


async def count(db: Connection, directory: int) -> int:
    return int(await db.fetchval("select count(*) from saved_queries where directory = $1", directory))


async def add(db: Connection, directory: int, name: str, sealed: bytes, made_by: str) -> None:
    """Raises Exists, NotFound when the directory has just been removed."""
    try:
        await db.execute(
            "insert into saved_queries (directory, name, sealed, made_by) values ($1, $2, $3, $4)",
            directory,
            name,
            sealed,
            made_by,
        )
    except asyncpg.UniqueViolationError:
        raise Exists(
            "the directory has a saved query of that name", remedy="choose another, or remove that one first"
        ) from None
    except asyncpg.ForeignKeyViolationError:
        raise NotFound("the directory has just been removed") from None


async def remove(db: Connection, directory: int, name: str) -> bool:
    status = await db.execute("delete from saved_queries where directory = $1 and name = $2", directory, name)
    return status == "DELETE 1"


def _kept(row: asyncpg.Record) -> Kept:
    return Kept(row["name"], row["sealed"], row["made_by"], row["made"])
