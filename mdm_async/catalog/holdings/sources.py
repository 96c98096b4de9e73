"""Images that are registered without their bytes: sources to bring them from, of which no row tells whose they are."""

from uuid import UUID

from mdm_async.postgres.database import Connection


async def register(db: Connection, image: UUID, registration: UUID, source: UUID, sealed: bytes) -> None:
    """A new image that is NEARLINE. `sealed` is its source, encrypted under its identity secret."""
    await db.execute(
        "with source as (insert into sources (id, sealed) values ($3, $4) returning id)"
        " insert into images (id, registration, locality, source) select $1, $2, 'NEARLINE', id from source",
        image,
        registration,
        source,
        sealed,
    )


async def of_image(db: Connection, image: UUID) -> tuple[UUID, bytes] | None:
    """An image's source, sealed; None when it was never registered with one."""
    row = await db.fetchrow(
        "select s.id, s.sealed from images i join sources s on s.id = i.source where i.id = $1", image
    )
    return (row["id"], row["sealed"]) if row is not None else None
