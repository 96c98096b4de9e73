"""What an archive had when it was registered, and has no more; studies and instances by their keyed digests."""

from collections.abc import Collection, Sequence
from uuid import UUID

from mdm_async.postgres.database import Connection


async def now(db: Connection) -> float:
    """By the database's clock, Unix time."""
    at: float = await db.fetchval("select extract(epoch from now())::float8")
    return at


async def listed(db: Connection, pacs: str, study: bytes, instances: Collection[bytes]) -> None:
    """The archive has these instances of a study, also such as had vanished, or were lost."""
    await db.execute(
        "insert into studies_listed (pacs, study) values ($1, $2) on conflict (pacs, study) do update set at = now()",
        pacs,
        study,
    )
    await db.execute(
        "with back as materialized (select i.id, s.id as source from sources s join images i on i.source = s.id"
        "  where s.pacs = $1 and s.instance = any($3::bytea[]) and s.study = $2 and i.doomed is null"
        "   and (s.vanished is not null or i.locality = 'LOST')),"
        " cleared as (update sources s set vanished = null from back where s.id = back.source)"
        " update images i set locality = case i.locality when 'ONLINE' then 'ONLINE_AND_NEARLINE' else 'NEARLINE' end"
        " from back where i.id = back.id",
        pacs,
        study,
        list(instances),
    )


async def not_listed(db: Connection, pacs: str, study: bytes | None, since: float, count: int) -> list[bytes]:
    """Studies, or that one, that the archive has not listed since then."""
    rows = await db.fetch(
        "select study from studies_listed where pacs = $1 and at < to_timestamp($2)"
        " and ($3::bytea is null or study = $3) order by at limit $4",
        pacs,
        since,
        study,
        count,
    )
    return [row["study"] for row in rows]


async def forget_study(db: Connection, pacs: str, study: bytes) -> None:
    """Nothing is registered of it any more, or all of it is marked."""
    await db.execute("delete from studies_listed where pacs = $1 and study = $2", pacs, study)


async def believed_there(
    db: Connection, pacs: str, study: bytes, after: UUID, count: int
) -> Sequence[tuple[UUID, UUID, bytes]]:
    """(source, image, instance) of a study's images that are not marked, by source."""
    rows = await db.fetch(
        "select s.id, i.id as image, s.instance from sources s join images i on i.source = s.id"
        " where s.pacs = $1 and s.study = $2 and s.id > $3 and s.vanished is null and i.doomed is null"
        " order by s.id limit $4",
        pacs,
        study,
        after,
        count,
    )
    return [tuple(row.values()) for row in rows]


async def mark(db: Connection, images: Collection[UUID]) -> None:
    """Their archive has them no more. What is here by now is here alone."""
    await db.execute(
        "with gone as (update sources s set vanished = now() from images i"
        "  where i.id = any($1::uuid[]) and s.id = i.source returning i.id)"
        " update images i set locality ="
        "  case i.locality when 'ONLINE_AND_NEARLINE' then 'ONLINE' else 'UNAVAILABLE' end"
        " from gone where i.id = gone.id and i.locality in ('NEARLINE', 'UNAVAILABLE', 'ONLINE_AND_NEARLINE')",
        list(images),
    )


async def of_images(db: Connection, images: Collection[UUID]) -> set[UUID]:
    """Those of these that are marked."""
    rows = await db.fetch(
        "select i.id from images i join sources s on s.id = i.source"
        " where i.id = any($1::uuid[]) and s.vanished is not null",
        list(images),
    )
    return {row["id"] for row in rows}


async def given(db: Connection, image: UUID) -> None:
    """Its archive has just given it."""
    await db.execute(
        "update sources s set vanished = null from images i"
        " where i.id = $1 and s.id = i.source and s.vanished is not null",
        image,
    )
