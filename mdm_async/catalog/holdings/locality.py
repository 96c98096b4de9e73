"""Where the bytes of an image are (SRM v2.2, TFileLocality)."""

from collections.abc import Collection
from enum import StrEnum
from typing import Final
from uuid import UUID

from mdm_async.postgres.database import Connection


class Locality(StrEnum):
    """An image is registered with its source before its bytes come, and may lose them again."""

    ONLINE = "ONLINE"
    NEARLINE = "NEARLINE"
    """Its source has it."""
    ONLINE_AND_NEARLINE = "ONLINE_AND_NEARLINE"
    UNAVAILABLE = "UNAVAILABLE"
    """Its source has it, and cannot be reached."""
    LOST = "LOST"

    @property
    def is_online(self) -> bool:
        """Whether its bytes are stored here."""
        return self in (Locality.ONLINE, Locality.ONLINE_AND_NEARLINE)


ELSEWHERE: Final = (
    "(i.locality = 'ONLINE_AND_NEARLINE' or exists (select from replicas) and exists ("
    "  select from entries e cross join lateral (select from replicas where entry = e.id limit 1) r"
    "  where e.image = i.id offset 0))"
)
"""Of an image `i`: an archive has it too, or a replica of it is known."""
KNOWN: Final = (
    "case when i.locality = 'ONLINE' and exists (select from damage) and exists (select from damage d"
    "  where d.image = i.id and d.kind = 'lost' and d.view in ('identified', 'opaque') offset 0)"
    f" then case when {ELSEWHERE} then 'UNAVAILABLE' else 'LOST' end else i.locality end"
)
"""Where its bytes are: what was found to be lost is not here. Few installations have lost anything, or have replicas:
that is asked once for all images."""


async def of_images(db: Connection, images: Collection[UUID]) -> dict[UUID, Locality]:
    """Images that are gone are left out."""
    rows = await db.fetch(
        f"select id, {KNOWN} as locality from images i where id = any($1::uuid[])", list(images)
    )
    return {row["id"]: Locality(row["locality"]) for row in rows}


async def registered(db: Connection, images: Collection[UUID]) -> dict[UUID, tuple[UUID, Locality]]:
    """By image, its registration in the key store, and where its bytes are."""
    rows = await db.fetch(
        "select id, registration, locality from images where id = any($1::uuid[])", list(images)
    )
    return {row["id"]: (row["registration"], Locality(row["locality"])) for row in rows}
