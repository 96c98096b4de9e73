"""Images that are registered without their bytes: sources to bring them from, of which no row tells whose they are."""

from collections.abc import Collection
from dataclasses import dataclass
from uuid import UUID

from mdm_async.catalog.holdings.locality import Locality
from mdm_async.postgres.database import Connection


@dataclass(frozen=True, slots=True)
class Digests:
    """Keyed, of the UIDs of a study, a series and an instance: they show what belongs together, and not whose it is."""

    study: bytes
    series: bytes
    instance: bytes


@dataclass(frozen=True, slots=True)
class Spot:
    """Of a source in the order of studies."""

    study: bytes
    source: UUID


async def away(
    db: Connection, pacs: str, study: bytes | None, after: Spot | None, count: int, *, gone: bool = False
) -> tuple[list[UUID], Spot | None]:
    """Of the next so many images of an archive, or of that study, those that are not here and may be asked for; and
    after which to go on; None at the end. `gone`: those that the archive has no more.
    """
    wanted = (
        "(s.vanished is not null or i.locality = 'LOST')"
        if gone
        else "s.vanished is null and i.locality in ('NEARLINE', 'UNAVAILABLE')"
    )
    rows = await db.fetch(
        f"select s.study, s.id, i.id as image, {wanted} and i.doomed is null as wanted"
        " from (select study, id, vanished from sources where pacs = $1 and (study, id) > ($2::bytea, $3::uuid)"
        "  and ($4::bytea is null or study = $4) order by study, id limit $5) s join images i on i.source = s.id"
        " order by s.study, s.id",
        pacs,
        after.study if after is not None else study or b"",
        after.source if after is not None else UUID(int=0),
        study,
        count,
    )
    last = Spot(rows[-1]["study"], rows[-1]["id"]) if rows else None
    return [row["image"] for row in rows if row["wanted"]], last


async def register(
    db: Connection,
    image: UUID,
    registration: UUID,
    source: UUID,
    sealed: bytes,
    pacs: str,
    digests: Digests,
) -> None:
    """A new image that is NEARLINE. `sealed` is its source, encrypted under its identity secret; `pacs` its archive."""
    await db.execute(
        "with source as (insert into sources (id, sealed, pacs, study, series, instance)"
        " values ($3, $4, $5, $6, $7, $8) returning id)"
        " insert into images (id, registration, locality, source) select $1, $2, 'NEARLINE', id from source",
        image,
        registration,
        source,
        sealed,
        pacs,
        digests.study,
        digests.series,
        digests.instance,
    )


async def registered(
    db: Connection, pacs: str, instances: Collection[bytes]
) -> list[tuple[tuple[bytes, bytes], UUID]]:
    """(series, instance) and image of all that is registered of these instances of an archive."""
    rows = await db.fetch(
        "select s.series, s.instance, i.id from sources s join images i on i.source = s.id"
        " where s.pacs = $1 and s.instance = any($2::bytea[]) and i.doomed is null",
        pacs,
        list(instances),
    )
    return [((row["series"], row["instance"]), row["id"]) for row in rows]


async def archives(db: Connection, images: Collection[UUID]) -> dict[UUID, str]:
    """By image, the archive that it was registered at; those that were not are left out."""
    rows = await db.fetch(
        "select i.id, s.pacs from images i join sources s on s.id = i.source"
        " where i.id = any($1::uuid[]) and i.doomed is null",
        list(images),
    )
    return {row["id"]: row["pacs"] for row in rows}


async def in_series(db: Connection, image: UUID, most: int) -> int:
    """How many instances of the image's series are registered at its archive; no more than `most` are counted."""
    count: int = await db.fetchval(
        "select count(distinct instance) from (select o.instance from images i join sources s on s.id = i.source"
        "  join sources o on o.pacs = s.pacs and o.series = s.series where i.id = $1 limit $2) q",
        image,
        most,
    )
    return count


async def sealed_of(db: Connection, images: Collection[UUID]) -> dict[UUID, tuple[UUID, bytes]]:
    """As `of_image`, of many."""
    rows = await db.fetch(
        "select i.id as image, s.id, s.sealed from images i join sources s on s.id = i.source"
        " where i.id = any($1::uuid[]) and i.doomed is null",
        list(images),
    )
    return {row["image"]: (row["id"], row["sealed"]) for row in rows}


async def reseal(db: Connection, source: UUID, sealed: bytes) -> None:
    """Say something else of a source, encrypted as before."""
    await db.execute("update sources set sealed = $2 where id = $1", source, sealed)


async def found(db: Connection, image: UUID, locality: Locality) -> None:
    """Say where the bytes of an image are that are not here."""
    await db.execute(
        "update images set locality = $2 where id = $1 and locality in ('NEARLINE', 'UNAVAILABLE', 'LOST')",
        image,
        locality,
    )


async def of_image(db: Connection, image: UUID) -> tuple[UUID, bytes] | None:
    """An image's source, sealed; None when it was never registered with one."""
    row = await db.fetchrow(
        "select s.id, s.sealed from images i join sources s on s.id = i.source where i.id = $1", image
    )
    return (row["id"], row["sealed"]) if row is not None else None
