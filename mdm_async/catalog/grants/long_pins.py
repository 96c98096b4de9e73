"""What each caller's pins keep of the cache for longer than usual.

Each such grant says how much (`keeps`) and whose it is (`keeper`); triggers keep the sums. Released it counts no more.
"""

from collections.abc import Collection
from dataclasses import dataclass
from uuid import UUID

from mdm_async.postgres.database import Connection

_LAPSED = 100


@dataclass(frozen=True, slots=True)
class Kept:
    """Bytes, by a caller and by all others."""

    mine: int
    others: int


async def kept(db: Connection, keeper: str) -> Kept:
    """No other transaction changes the caller's until this one ends. Whoever locks grants locks them before."""
    await db.execute("select pg_advisory_xact_lock(hashtextextended('mdm long pins ' || $1, 0))", keeper)
    await db.execute(
        "delete from long_pins where (ends, keeper) in (select ends, keeper from long_pins where ends <= now()"
        "  order by ends limit $1 for update skip locked)",
        _LAPSED,
    )
    row = await db.fetchrow(
        "select coalesce(sum(bytes) filter (where keeper = $1), 0)::bigint as mine,"
        " coalesce(sum(bytes) filter (where keeper <> $1), 0)::bigint as others from long_pins where ends > now()",
        keeper,
    )
    assert row is not None
    return Kept(row["mine"], row["others"])


async def sizes(db: Connection, images: Collection[UUID]) -> dict[UUID, int]:
    """Bytes of those of these images that the cache has."""
    rows = await db.fetch(
        "select image, bytes from staged_images where image = any($1::uuid[]) and coming_until is null",
        list(images),
    )
    return {row["image"]: row["bytes"] for row in rows}
