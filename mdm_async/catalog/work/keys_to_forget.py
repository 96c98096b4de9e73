"""Keys to forget: registrations whose images are gone or have others, until key stores have destroyed their secrets."""

from collections.abc import Mapping, Sequence
from uuid import UUID

from mdm_async.catalog.work.queue import Queue
from mdm_async.postgres.database import Connection

KEYS_TO_FORGET = Queue("keys to forget", "keys_to_forget", ("registration",), ("uuid",))


async def add(db: Connection, registrations: Sequence[UUID]) -> None:
    """In the transaction that destroys the images' rows."""
    await db.execute(
        "insert into keys_to_forget (registration) select unnest($1::uuid[]) on conflict do nothing",
        list(registrations),
    )


async def add_older(db: Connection, images: Mapping[UUID, UUID]) -> None:
    """Registrations that images had before, and these images: who shreds one destroys them, too."""
    await db.execute(
        "insert into keys_to_forget (registration, image) select * from unnest($1::uuid[], $2::uuid[])"
        " on conflict do nothing",
        list(images),
        list(images.values()),
    )
