"""How a key store stands, for those who run it."""

from dataclasses import dataclass
from datetime import datetime

from mdm_async.keys import nodes, rotations
from mdm_async.keys.nodes import Node
from mdm_async.keys.rotations import Rotation
from mdm_async.postgres.database import Connection

COUNTED = 10_000
"""Rows that are counted at the most under each key."""
_SHOWN = 20


@dataclass(frozen=True, slots=True)
class Epoch:
    """A key-encryption key, by its number, and how much is wrapped under it."""

    number: int
    in_use: bool
    here: bool
    """Whether this node has it."""
    rows: int
    more: bool
    made: datetime
    closed: datetime | None
    """Since when nothing is wrapped under it, nor can be."""
    destroyed: datetime | None
    """Since when no node has it."""


@dataclass(frozen=True, slots=True)
class StoreStanding:
    """One database of wrapped secrets. Of one that is away nothing else is known."""

    name: str
    alive: bool
    source: str = ""
    """Where its key-encryption keys come from."""
    epochs: tuple[Epoch, ...] = ()
    """The newest first, and of those that are destroyed the last ones."""
    rotation: Rotation | None = None
    """The last one."""
    nodes: tuple[Node, ...] = ()


@dataclass(frozen=True, slots=True)
class KeyStanding:
    stores: tuple[StoreStanding, ...]
    threshold: int
    """How many of the stores it takes to read a secret."""


async def of_store(db: Connection, name: str, source: str, in_use: int, here: list[int]) -> StoreStanding:
    found = tuple(await nodes.known(db))
    return StoreStanding(name, True, source, await epochs(db, in_use, here), await rotations.last(db), found)


async def epochs(db: Connection, in_use: int, here: list[int]) -> tuple[Epoch, ...]:
    rows = await db.fetch(
        "select epoch, made, closed, destroyed,"
        " (select count(*) from (select from mdm_keys.image_secrets s where s.epoch = p.epoch limit $1) i)"
        " + (select count(*) from (select from mdm_keys.project_keys k where k.epoch = p.epoch limit $1) j) as rows"
        " from mdm_keys.kek_proofs p order by destroyed is not null, epoch desc limit $2",
        COUNTED,
        _SHOWN,
    )
    return tuple(
        Epoch(
            row["epoch"],
            row["epoch"] == in_use,
            row["epoch"] in here,
            row["rows"],
            row["rows"] >= COUNTED,
            row["made"],
            row["closed"],
            row["destroyed"],
        )
        for row in rows
    )
