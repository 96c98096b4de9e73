"""What a mirror has, or may have: entries, images, profiles. What becomes of these is told to it."""

from collections.abc import Collection
from uuid import UUID

from mdm_async.postgres.database import Connection


async def entries(db: Connection, mirror: str, guids: Collection[UUID]) -> set[UUID]:
    """Those of these that it has."""
    rows = await db.fetch(
        "select guid from mirrored_entries where mirror = $1 and guid = any($2::uuid[])", mirror, list(guids)
    )
    return {row["guid"] for row in rows}


async def add_entries(db: Connection, mirror: str, guids: Collection[UUID]) -> None:
    await db.execute(
        "insert into mirrored_entries (mirror, guid) select $1, unnest($2::uuid[]) on conflict do nothing",
        mirror,
        list(guids),
    )


async def remove_entries(db: Connection, mirror: str, guids: Collection[UUID]) -> None:
    await db.execute(
        "delete from mirrored_entries where mirror = $1 and guid = any($2::uuid[])", mirror, list(guids)
    )


async def add_image(db: Connection, mirror: str, image: UUID) -> None:
    await db.execute(
        "insert into mirrored_images (mirror, image) values ($1, $2) on conflict do nothing", mirror, image
    )


async def profiles(db: Connection, mirror: str) -> dict[str, str | None]:
    """Those that it has, or was offered, each with why it does not take it."""
    rows = await db.fetch(
        "select name, failure from mirrored_profiles where mirror = $1 order by name", mirror
    )
    return {row["name"]: row["failure"] for row in rows}


async def add_profile(db: Connection, mirror: str, name: str, failure: str | None) -> None:
    """It has it, or not, for this reason."""
    await db.execute(
        "insert into mirrored_profiles (mirror, name, failure) values ($1, $2, $3)"
        " on conflict (mirror, name) do update set failure = $3",
        *(mirror, name, failure),
    )
