"""Images to bring from their archives: one row each, however many requests wait for it."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from uuid import UUID

from mdm_async.catalog.work.queue import LEASE, Queue, Row, taker_of
from mdm_async.postgres.database import Connection

IMAGES_TO_STAGE = Queue("images to stage", "images_to_stage", ("image",), ("uuid",))


_LOOKED_AT = 1000
"""So many of those that are not taken are looked at, to find one that is due: what has failed goes to the end."""
_SPARE = 16
"""Rows that other nodes may be about to take."""
_FRONT = (
    "coalesce((select turn from images_to_stage where pacs = $1 and taken_by is null order by turn limit 1),"
    " (select turn from images_to_stage where pacs = $1 and taken_by is not null order by due desc limit 1), 0)"
)
"""Where the line is now."""
_NEXT = (
    f"greatest({_FRONT},"
    " (select turn + 1 from images_to_stage where pacs = $1 and caller = $2 order by turn desc limit 1))"
)
"""The turn that a caller's next image has: whoever waits for nothing yet is served now, and then in turn."""


@dataclass(frozen=True, slots=True)
class OfArchive(Queue):
    """Those of one archive, `pacs`, by whose turn it is."""

    pacs: str = ""

    async def take(self, db: Connection, node: str, count: int) -> list[Row]:
        taker = taker_of(node)
        rows = await db.fetch(
            "with front as materialized ("
            "  (select image, due, 0 as turn from images_to_stage"
            "    where pacs = $1 and taken_by is not null and due <= now() order by due limit $2)"
            "  union all (select image, due, turn from"
            "    (select image, since, due, turn from images_to_stage where pacs = $1 and taken_by is null"
            f"     order by turn limit {_LOOKED_AT}) q where due <= now() order by turn, since limit $2)),"
            " page as materialized (select t.image from front f join images_to_stage t on t.image = f.image"
            "  where t.due <= now() order by f.turn, t.since limit $3 for update of t skip locked)"
            " update images_to_stage t set taken_by = $4, due = now() + make_interval(secs => $5),"
            " attempts = attempts + 1 from page w where t.image = w.image returning t.image",
            self.pacs,
            count + _SPARE,
            count,
            taker,
            LEASE,
        )
        return [Row((row["image"],), taker) for row in rows]

    async def fail(self, db: Connection, row: Row, reason: str) -> None:
        await Queue.fail(self, db, row, reason)
        await to_the_end(db, [row.key[0]])


def of_archive(pacs: str) -> Queue:
    """`pacs`: a name that the settings took."""
    only = f"pacs = {_quoted(pacs)}"
    return OfArchive(IMAGES_TO_STAGE.name, "images_to_stage", ("image",), ("uuid",), only, pacs=pacs)


def of_others(pacs: Collection[str]) -> Queue:
    """Those of all archives but these."""
    named = ", ".join(map(_quoted, sorted(pacs)))
    return replace(IMAGES_TO_STAGE, only=f"pacs <> all(array[{named}]::text[])")


def _quoted(pacs: str) -> str:
    assert pacs.replace("-", "").replace("_", "").isalnum()
    return f"'{pacs}'"


async def add(db: Connection, wanted: Mapping[UUID, str], caller: str) -> None:
    """By image, in the order in which they are wanted, its archive; in the transaction by which a request begins to
    wait. What failed is due again. `caller`: who takes turns with others.
    """
    # Requests of one caller are counted one after the other.
    await db.execute("select pg_advisory_xact_lock(hashtextextended('mdm stage ' || $1, 0))", caller)
    for pacs in sorted(set(wanted.values())):
        turns = {image: turn for turn, image in enumerate(one for one in wanted if wanted[one] == pacs)}
        images = sorted(turns)
        await db.execute(
            # Written anew in any case: so whoever is just about to drop the row is waited for.
            "insert into images_to_stage as t (image, pacs, series, caller, turn) select image, $1,"
            " (select s.series from images i join sources s on s.id = i.source where i.id = image), $2,"
            f" {_NEXT} + turn from unnest($3::uuid[], $4::bigint[]) as w (image, turn)"
            " on conflict (image) do update set pacs = excluded.pacs, turn = least(t.turn, excluded.turn),"
            " caller = case when excluded.turn < t.turn then excluded.caller else t.caller end,"
            " due = case when t.taken_by is null then now() else t.due end",
            pacs,
            caller,
            images,
            [turns[image] for image in images],
        )


async def to_the_end(db: Connection, images: Collection[UUID]) -> None:
    """They come after all else that their callers wait for."""
    await db.execute(
        "update images_to_stage t set turn = 1 + (select turn from images_to_stage o"
        "  where o.pacs = t.pacs and o.caller = t.caller order by turn desc limit 1) where image = any($1::uuid[])",
        list(images),
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


_WAITED = "extract(epoch from now() - {})::int"
_FIRST = "mod({}, 600) between 30 and 330"
"""Seconds of every ten minutes in which who has waited for so long goes before others: what never fits blocks nobody
for ever."""
_LONGEST = 100
"""So many of those that have waited for the longest may go before others."""


async def wait_for_room(db: Connection, image: UUID) -> bool:
    """There is no room for the image now; whether it is its turn before others'."""
    return bool(
        await db.fetchval(
            "update images_to_stage set full_since = coalesce(full_since, now()), full_seen = now()"
            f" where image = $1 returning {_FIRST.format(_WAITED.format('full_since'))}",
            image,
        )
    )


async def to_the_front(db: Connection, image: UUID) -> None:
    """It comes before all others of its archive."""
    await db.execute(
        "update images_to_stage t set turn = (select turn from images_to_stage o where o.pacs = t.pacs"
        "  and o.taken_by is null order by turn limit 1) - 1 where image = $1 and exists (select from images_to_stage o"
        "  where o.pacs = t.pacs and o.taken_by is null)",
        image,
    )


async def wait_no_more(db: Connection, image: UUID) -> None:
    """There is room, or the image waits for something else."""
    await db.execute(
        "update images_to_stage set full_since = null, full_seen = null where image = $1 and full_since is not null",
        image,
    )


async def another_is_first(db: Connection, image: UUID) -> bool:
    """Whether another image that waits for room goes before this one: it has waited for longer, and somebody looks."""
    return bool(
        await db.fetchval(
            "select true from (select * from images_to_stage where full_since is not null"
            f"  order by full_since limit {_LONGEST}) w"
            " where full_since < (select coalesce(min(o.full_since), now()) from images_to_stage o where o.image = $1)"
            f" and full_seen > now() - interval '1 minute' and {_FIRST.format(_WAITED.format('full_since'))}"
            " and image <> $1 limit 1",
            image,
        )
    )


async def attempts(db: Connection, row: Row) -> int:
    """How often it was taken, this time included."""
    return await db.fetchval("select attempts from images_to_stage where image = $1", row.key[0]) or 0


async def ahead(db: Connection, pacs: str, caller: str, most: int) -> int:
    """How many come from that archive before the next image that this caller asks for; no more than `most` are
    counted.
    """
    count: int = await db.fetchval(
        "select (select count(*) from (select from images_to_stage"
        f"  where pacs = $1 and taken_by is null and turn < {_NEXT} limit $3) q)"
        " + (select count(*) from (select from images_to_stage"
        "  where pacs = $1 and taken_by is not null limit $3) q)",
        pacs,
        caller,
        most,
    )
    return min(count, most)
