"""How a key store stands, for those who run it."""

from dataclasses import dataclass

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


@dataclass(frozen=True, slots=True)
class StoreStanding:
    """One database of wrapped secrets."""

    name: str
    alive: bool
    epochs: tuple[Epoch, ...] = ()
    """The newest first."""


@dataclass(frozen=True, slots=True)
class KeyStanding:
    stores: tuple[StoreStanding, ...]
    threshold: int
    """How many of the stores it takes to read a secret."""


async def epochs(db: Connection, in_use: int, here: list[int]) -> tuple[Epoch, ...]:
    rows = await db.fetch(
        "select epoch,"
        " (select count(*) from (select from mdm_keys.image_secrets s where s.epoch = p.epoch limit $1) i)"
        " + (select count(*) from (select from mdm_keys.project_keys k where k.epoch = p.epoch limit $1) j) as rows"
        " from mdm_keys.kek_proofs p order by epoch desc limit $2",
        COUNTED,
        _SHOWN,
    )
    return tuple(
        Epoch(row["epoch"], row["epoch"] == in_use, row["epoch"] in here, row["rows"], row["rows"] >= COUNTED)
        for row in rows
    )
