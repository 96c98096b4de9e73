"""Crypt4GH public keys by principal: what a sealed transfer is sealed for when its request names no key."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from mdm_async.postgres.database import Connection


@dataclass(frozen=True, slots=True)
class Recipient:
    """A registered key: X25519, 32 bytes."""

    principal: str
    key: bytes
    set_by: str
    at: datetime


async def listing(db: Connection) -> list[Recipient]:
    rows = await db.fetch('select principal, key, set_by, at from recipients order by principal collate "C"')
    return [Recipient(*row.values()) for row in rows]


async def keys_of(db: Connection, principals: Sequence[str]) -> dict[str, bytes]:
    rows = await db.fetch(
        "select principal, key from recipients where principal = any($1::text[])", principals
    )
    return {row["principal"]: row["key"] for row in rows}


async def put(db: Connection, principal: str, key: bytes, by: str) -> None:
    await db.execute(
        "insert into recipients (principal, key, set_by) values ($1, $2, $3)"
        " on conflict (principal) do update set key = $2, set_by = $3, at = now()",
        principal,
        key,
        by,
    )


async def remove(db: Connection, principal: str) -> bool:
    """False when the principal has none."""
    return await db.execute("delete from recipients where principal = $1", principal) == "DELETE 1"
