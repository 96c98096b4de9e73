"""Members of cohorts: entries, with the version of the view that each pins.

While a member names it, a version that a newer one has superseded is kept, and so is an image that no entry points to
any more. What is shredded goes all the same.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import asyncpg

from mdm_async.errors import NotFound
from mdm_async.postgres.database import Connection


@dataclass(frozen=True, slots=True)
class Member:
    """`digest` is salted, of what the manifest says of it; `sealed` holds size, checksums and the salt.

    `handed_on`: whoever made the cohort could give others rights to the entry. `last`: what was in force there when the
    entry went. `rejected`: a rejection note hides its image.
    """

    number: int
    entry: int
    guid: UUID
    image: UUID
    view: str
    version: str
    digest: bytes
    sealed: bytes
    handed_on: bool = False
    binding: bytes | None = None
    """As `bindings` has it, of what it pins; None of what no node has bound yet."""
    last: Mapping[str, Any] | None = None
    rejected: bool = False


Pin = tuple[UUID, str, str]
"""An image, a view's name and version."""
_GIVEN = "number, entry, guid, image, view, version, digest, sealed, handed_on, binding"
_COLUMNS = (
    f"{_GIVEN}, (select last from entries_gone g where g.entry = cohort_members.entry limit 1),"
    " exists (select from rejections r where r.image = cohort_members.image) as rejected"
)


async def add(db: Connection, cohort: int, members: Sequence[Member]) -> int:
    """Pin these, in a transaction that keeps their images (`images.keep`); how many were there to be pinned.

    Raises NotFound when the cohort has gone, with its directory.
    """
    try:
        return await _add(db, cohort, members)
    except asyncpg.ForeignKeyViolationError:
        raise NotFound("the cohort's directory has just been removed") from None


async def _add(db: Connection, cohort: int, members: Sequence[Member]) -> int:
    status = await db.execute(
        f"insert into cohort_members (cohort, {_GIVEN}) select $1, m.* from unnest("
        " $2::int[], $3::bigint[], $4::uuid[], $5::uuid[], $6::text[], $7::text[], $8::bytea[], $9::bytea[],"
        f" $10::boolean[], $11::bytea[]) as m ({_GIVEN}) where exists ("
        "  select from views v where v.image = m.image and v.name = m.view and v.version = m.version"
        "   and v.state = 'ready' offset 0)"
        # Not those whose bytes have just been evicted.
        " and exists (select from images i where i.id = m.image"
        "   and i.locality in ('ONLINE', 'ONLINE_AND_NEARLINE') offset 0)"
        # Found twice: by two of its names in a list, or it was moved while it was looked for.
        " on conflict (cohort, guid) do nothing",
        cohort,
        *([getattr(one, field) for one in members] for field in _GIVEN.split(", ")),
    )
    return int(status.rpartition(" ")[2])


async def page(db: Connection, cohort: int, after: int, count: int) -> list[Member]:
    """Some, by their numbers."""
    rows = await db.fetch(
        f"select {_COLUMNS} from cohort_members where cohort = $1 and number > $2 order by number limit $3",
        cohort,
        after,
        count,
    )
    return [_member(row) for row in rows]


async def with_guids(db: Connection, cohort: int, guids: Collection[UUID]) -> dict[UUID, Member]:
    """Those of these that are members."""
    rows = await db.fetch(
        f"select {_COLUMNS} from cohort_members where cohort = $1 and guid = any($2::uuid[])",
        cohort,
        list(guids),
    )
    return {row["guid"]: _member(row) for row in rows}


async def each(db: Connection, wanted: Collection[tuple[int, UUID]]) -> dict[tuple[int, UUID], Member]:
    """Of each (cohort, GUID) the member, if it is one."""
    rows = await db.fetch(
        f"select w.cohort as of, m.* from unnest($1::bigint[], $2::uuid[]) as w (cohort, guid) cross join lateral ("
        f"  select {_COLUMNS} from cohort_members where cohort = w.cohort and guid = w.guid limit 1) m",
        [cohort for cohort, _ in wanted],
        [guid for _, guid in wanted],
    )
    return {(row["of"], row["guid"]): Member(*list(row.values())[1:]) for row in rows}


async def remove_page(db: Connection, cohort: int, count: int) -> list[Pin]:
    """Remove some members of a cohort that was cut off: what they pinned. None are left, and the cohort has gone with
    them, when they are fewer."""
    rows = await db.fetch(
        "with page as materialized (select number from cohort_members where cohort = $1 order by number limit $2)"
        " delete from cohort_members where cohort = $1 and number = any(array(select number from page))"
        " returning image, view, version, entry",
        cohort,
        count,
    )
    await db.execute(
        "delete from entries_gone g where entry = any($1::bigint[])"
        " and not exists (select from cohort_members m where m.entry = g.entry offset 0)",
        [row["entry"] for row in rows],
    )
    if len(rows) < count:
        await db.execute("delete from cohorts where id = $1 and directory is null", cohort)
    return [(row["image"], row["view"], row["version"]) for row in rows]


async def beside_others(db: Connection, pins: Collection[Pin]) -> list[tuple[UUID, str]]:
    """Image and view of those that have other versions too: one of them may be superseded."""
    rows = await db.fetch(
        "select distinct p.image, p.view from unnest($1::uuid[], $2::text[], $3::text[]) as p (image, view, version)"
        " where exists (select from views v where v.image = p.image and v.name = p.view and v.version <> p.version"
        "  offset 0) and exists (select from views v where v.image = p.image and v.name = p.view"
        "  and v.version = p.version offset 0)",
        [image for image, _, _ in pins],
        [view for _, view, _ in pins],
        [version for _, _, version in pins],
    )
    return [(row["image"], row["view"]) for row in rows]


def _member(row: asyncpg.Record) -> Member:
    return Member(*row.values())
