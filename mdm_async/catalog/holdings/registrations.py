"""Which registrations in the key store count: those that an image's row names."""

from collections.abc import Sequence
from typing import Final
from uuid import UUID

from mdm_async.postgres.database import Connection

LOCK: Final = "hashtextextended('mdm registration ' || registration::text, 0)"
"""Which advisory lock it is of a `registration`."""


async def being_named(db: Connection, wanted: Sequence[UUID]) -> None:
    """Until this transaction ends, nobody judges whether these registrations count."""
    await db.execute(
        f"select pg_advisory_xact_lock_shared({LOCK}) from unnest($1::uuid[]) as r (registration)",
        list(wanted),
    )


async def judged(db: Connection, intents: Sequence[tuple[UUID, UUID]]) -> tuple[list[UUID], list[UUID]]:
    """Of these (registration, image): the registrations that an image has, and those that none has.

    Those about to be named are in neither. Call it in a transaction, for registrations that no later one names.
    """
    locked = await db.fetch(
        f"select registration, image from unnest($1::uuid[], $2::uuid[]) as r (registration, image)"
        f" where pg_try_advisory_xact_lock({LOCK})",
        [registration for registration, _ in intents],
        [image for _, image in intents],
    )
    # A statement of its own: it sees what was committed before the locks were had.
    rows = await db.fetch(
        "select r.registration, i.id is not null as named"
        " from unnest($1::uuid[], $2::uuid[]) as r (registration, image)"
        " left join images i on i.id = r.image and i.registration = r.registration",
        [row["registration"] for row in locked],
        [row["image"] for row in locked],
    )
    named = [row["registration"] for row in rows if row["named"]]
    return named, [row["registration"] for row in rows if not row["named"]]
