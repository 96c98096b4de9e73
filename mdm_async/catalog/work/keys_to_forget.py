"""Keys to forget: registrations whose images are gone, until the key store has destroyed their secrets."""

from collections.abc import Sequence
from uuid import UUID

from mdm_async.postgres.database import Connection

_TURN = 60.0
"""Seconds that whoever took a page has for it; then it is another's turn."""


async def add(db: Connection, registrations: Sequence[UUID]) -> None:
    """In the transaction that destroys the images' rows."""
    await db.execute(
        "insert into keys_to_forget (registration) select unnest($1::uuid[]) on conflict do nothing",
        list(registrations),
    )


async def take(db: Connection, count: int) -> list[UUID]:
    """A page for this node alone, for a minute: the key store is asked with no connection in hand."""
    rows = await db.fetch(
        "update keys_to_forget set due = now() + make_interval(secs => $2) where registration = any(array("
        "  select registration from keys_to_forget where due <= now() order by due limit $1"
        "  for update skip locked"
        ")) returning registration",
        count,
        _TURN,
    )
    return [row["registration"] for row in rows]


async def done(db: Connection, registrations: Sequence[UUID]) -> None:
    await db.execute("delete from keys_to_forget where registration = any($1::uuid[])", list(registrations))
