"""Images to bring from their archives: one row each, however many requests wait for it."""

from collections.abc import Collection, Mapping
from dataclasses import replace
from uuid import UUID

from mdm_async.catalog.work.queue import LEASE, Queue, Row
from mdm_async.postgres.database import Connection

IMAGES_TO_STAGE = Queue("images to stage", "images_to_stage", ("image",), ("uuid",))


def of_archive(pacs: str) -> Queue:
    """Those of one archive. `pacs`: a name that the settings took."""
    return replace(IMAGES_TO_STAGE, only=f"pacs = {_quoted(pacs)}")


def of_others(pacs: Collection[str]) -> Queue:
    """Those of all archives but these."""
    named = ", ".join(map(_quoted, sorted(pacs)))
    return replace(IMAGES_TO_STAGE, only=f"pacs <> all(array[{named}]::text[])")


def _quoted(pacs: str) -> str:
    assert pacs.replace("-", "").replace("_", "").isalnum()
    return f"'{pacs}'"


async def add(db: Connection, wanted: Mapping[UUID, str]) -> None:
    """By image, its archive; in the transaction by which a request begins to wait. What failed is due again."""
    images = sorted(wanted)
    await db.execute(
        # Written anew in any case: so whoever is just about to drop the row is waited for.
        "insert into images_to_stage (image, pacs, series) select image, pacs,"
        " (select s.series from images i join sources s on s.id = i.source where i.id = image)"
        " from unnest($1::uuid[], $2::text[]) as w (image, pacs)"
        " on conflict (image) do update set pacs = excluded.pacs,"
        " due = case when images_to_stage.taken_by is null then now() else images_to_stage.due end",
        images,
        [wanted[image] for image in images],
    )


_TOGETHER = (
    "pacs = $1 and series = (select series from images_to_stage where image = $2 and not alone) and not alone"
    " and taken_by is null and due <= now()"
)


async def with_it(db: Connection, pacs: str, image: UUID, most: int) -> int:
    """How many images of the series of one that was taken wait, too; no more than `most` are counted."""
    count: int = await db.fetchval(
        f"select count(*) from (select from images_to_stage where {_TOGETHER} limit $3) q", pacs, image, most
    )
    return count


async def take_with_it(db: Connection, pacs: str, row: Row, most: int) -> list[Row]:
    """What waits of the series of an image, for whoever has taken that one."""
    rows = await db.fetch(
        f"with page as materialized (select image from images_to_stage where {_TOGETHER}"
        "  order by image limit $3 for update skip locked)"
        " update images_to_stage t set taken_by = $4, due = now() + make_interval(secs => $5),"
        " attempts = attempts + 1 from page w where t.image = w.image returning t.image",
        pacs,
        row.key[0],
        most,
        row.taken_by,
        LEASE,
    )
    return [Row((one["image"],), row.taken_by) for one in rows]


async def alone(db: Connection, images: Collection[UUID]) -> None:
    """They did not come with the others of their series: each is asked for by itself."""
    await db.execute("update images_to_stage set alone = true where image = any($1::uuid[])", list(images))


async def lock(db: Connection, row: Row) -> bool:
    """Let nobody begin to wait for the image until the transaction ends; False when the row is another's by now."""
    return bool(
        await db.fetchval(
            "select true from images_to_stage where image = $1 and taken_by = $2 for update",
            row.key[0],
            row.taken_by,
        )
    )


async def attempts(db: Connection, row: Row) -> int:
    """How often it was taken, this time included."""
    return await db.fetchval("select attempts from images_to_stage where image = $1", row.key[0]) or 0


async def ahead(db: Connection, pacs: str, most: int) -> int:
    """How many wait for that archive; no more than `most` are counted."""
    count: int = await db.fetchval(
        "select count(*) from (select from images_to_stage where pacs = $1 limit $2) q", pacs, most
    )
    return count
