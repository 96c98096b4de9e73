"""Which images of the cache may be evicted: nobody has pinned, waits for, or reads them, and their archives have them.

Those of cohorts stay, for a cohort promises versions of views that would perhaps not be made again.
"""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from typing import Literal
from uuid import UUID

from mdm_async.postgres.database import Connection

Kept = Literal["pinned", "read", "cohort", "archive"]
"""Why an image is not evicted: by pins; while it is read; by cohorts; its archive has it no more, or is not asked."""

Place = tuple[datetime, UUID]
"""Of an image in the order of last use."""
_ENDED = "60 seconds"
"""What began to be read just before a pin's end is held by then (`holding.HOLD`)."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """An image of the cache. `until`: seconds until its last pin ends by itself."""

    image: UUID
    used: datetime
    bytes: int
    kept: Kept | None
    until: float | None

    @property
    def place(self) -> Place:
        return self.used, self.image


_GOOD = "not exists (select from tokens t where t.id = g.token and t.revoked is not null)"
"""What a revoked token pinned serves nobody."""
_READ = (
    f"operation = 'get' and expires > now() - interval '{_ENDED}' and state in ('pinned', 'queued', 'staging')"
    f" and {_GOOD}"
)
_BROUGHT = (
    "g.image is not null and operation = 'bring_online' and expires > now()"
    f" and state in ('done', 'queued', 'staging') and {_GOOD}"
)
_PINNED = (
    "(select max(until) from ("
    f"  select expires + interval '{_ENDED}' as until from grants g where g.image = s.image and {_READ}"
    f"  union all select expires from grants g where g.image = s.image and {_BROUGHT}"
    " ) p)"
)
_HOLDERS = (
    f"select image, caller from grants g where image = any($1::uuid[]) and {_READ}"
    f" union select image, caller from grants g where image = any($1::uuid[]) and {_BROUGHT}"
)
_JUDGED = (
    "select s.image, s.used, s.bytes,"
    " case when p.until is not null then 'pinned' when i.in_use_until > now() then 'read'"
    "  when exists (select from cohort_members m where m.image = s.image offset 0) then 'cohort'"
    "  when c.vanished is not null or not c.pacs = any($1::text[]) then 'archive' end as kept,"
    " extract(epoch from p.until - now())::float8 as until"
    " from ({}) s join images i on i.id = s.image join sources c on c.id = i.source"
    f" cross join lateral (select {_PINNED} as until) p where i.doomed is null order by s.used, s.image"
)


async def page(
    db: Connection, archives: Collection[str], after: Place | None, count: int
) -> tuple[list[Candidate], Place | None]:
    """The next images of the cache, the least recently used first, and after which to go on; None at the end.

    `archives`: those that are asked.
    """
    places = await db.fetch(
        "select used, image from staged_images where coming_until is null"
        " and (used, image) > (coalesce($1, '-infinity'::timestamptz), $2::uuid) order by used, image limit $3",
        after[0] if after else None,
        after[1] if after else UUID(int=0),
        count,
    )
    some = "select * from staged_images where image = any($2::uuid[]) and coming_until is null"
    rows = await db.fetch(_JUDGED.format(some), list(archives), [row["image"] for row in places])
    last = (places[-1]["used"], places[-1]["image"]) if len(places) == count else None
    return [Candidate(*row.values()) for row in rows], last


async def of_images(db: Connection, archives: Collection[str], images: Collection[UUID]) -> list[Candidate]:
    """Those of these images that the cache has."""
    some = "select * from staged_images where image = any($2::uuid[]) and coming_until is null"
    rows = await db.fetch(_JUDGED.format(some), list(archives), list(images))
    return [Candidate(*row.values()) for row in rows]


async def holders(db: Connection, images: Collection[UUID]) -> list[tuple[UUID, str]]:
    """Whose pins keep these images; each as often as there are such callers."""
    return [(row["image"], row["caller"]) for row in await db.fetch(_HOLDERS, list(images))]


async def lock(db: Connection, archives: Collection[str], image: UUID) -> Candidate | None:
    """An image of the cache, which nobody can pin until the transaction ends, once the image is locked; None when the
    cache has it no more.
    """
    await db.execute("select from staged_images where image = $1 for update", image)
    # A statement of its own: it sees the pins of those who had it before.
    return next(iter(await of_images(db, archives, [image])), None)
