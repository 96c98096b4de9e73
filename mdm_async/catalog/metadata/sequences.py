"""Sequences: counters at directories, of whose numbers each is given once."""

from dataclasses import dataclass

import asyncpg

from mdm_async.errors import Exists, NotFound
from mdm_async.postgres.database import Connection

MOST_NUMBER = 2**53
"""No sequence goes further, up or down: as far as JSON's readers count one by one."""


@dataclass(frozen=True, slots=True)
class Sequence:
    name: str
    next: int
    step: int


async def at_directory(db: Connection, directory: int) -> list[Sequence]:
    """By name; there are at most some hundred."""
    rows = await db.fetch(
        "select name, next, step from sequences where directory = $1 order by name", directory
    )
    return [Sequence(row["name"], row["next"], row["step"]) for row in rows]


async def make(db: Connection, directory: int, name: str, start: int, step: int) -> None:
    """Raises Exists, NotFound when the directory has just been removed."""
    try:
        await db.execute(
            "insert into sequences (directory, name, next, step) values ($1, $2, $3, $4)",
            directory,
            name,
            start,
            step,
        )
    except asyncpg.UniqueViolationError:
        raise Exists("the directory has a sequence of that name") from None
    except asyncpg.ForeignKeyViolationError:
        raise NotFound("the directory has just been removed") from None


async def take(db: Connection, directory: int, name: str, count: int) -> range | None:
    """The next numbers, which nobody else is given; None when there is no such sequence, or not so many are left."""
    row = await db.fetchrow(
        "update sequences set next = next + step * $3::bigint where directory = $1 and name = $2"
        f" and abs(next + step * $3::bigint) <= {MOST_NUMBER} returning next, step",
        directory,
        name,
        count,
    )
    return None if row is None else range(row["next"] - row["step"] * count, row["next"], row["step"])


async def remove(db: Connection, directory: int, name: str) -> bool:
    status = await db.execute("delete from sequences where directory = $1 and name = $2", directory, name)
    return status == "DELETE 1"
