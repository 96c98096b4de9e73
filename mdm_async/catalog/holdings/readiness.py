"""Whether files' views can be read as things are, and how much of each there is beside its pixels: of many at once."""

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from mdm_async.catalog.holdings.locality import Locality
from mdm_async.postgres.database import Connection


@dataclass(frozen=True, slots=True)
class Readiness:
    """Of one view of one file."""

    directory: int
    image: UUID
    ready: bool
    """It has been made, and its bytes are here."""
    beside: int | None
    """Bytes that its parts take that are no pixels, as they are stored; None of what is deflated as a whole."""


async def of_entries(
    db: Connection, wanted: Sequence[tuple[int, str]], versions: Sequence[str]
) -> dict[tuple[int, str], Readiness]:
    """By the id of an entry and the name of a view, in the first of these versions. What has gone is left out."""
    rows = await db.fetch(
        "select w.entry, w.view, e.parent, e.image, i.locality, v.state, p.beside, p.deflated"
        " from unnest($1::bigint[], $2::text[]) as w (entry, view)"
        "   cross join lateral (select parent, image from entries where id = w.entry limit 1) e"
        "   cross join lateral (select locality from images where id = e.image and doomed is null limit 1) i"
        "   left join lateral (select state, parts from views"
        "     where image = e.image and name = w.view and version = any($3::text[])"
        "     order by array_position($3::text[], version) limit 1) v on true"
        "   cross join lateral ("
        "     select coalesce(sum(cipher_size), 0)::bigint as beside,"
        "       coalesce(bool_or(kind = 'original'), false) as deflated"
        "     from parts where id = any(v.parts) and kind <> 'pixels') p",
        [entry for entry, _ in wanted],
        [view for _, view in wanted],
        list(versions),
    )
    return {
        (row["entry"], row["view"]): Readiness(
            row["parent"],
            row["image"],
            Locality(row["locality"]).is_online and row["state"] == "ready",
            row["beside"] if not row["deflated"] else None,
        )
        for row in rows
    }
