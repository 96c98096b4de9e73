"""What binds a file's entry to its image: a checksum under a key that the database does not have, over the entry's
GUID, the image, and the one view that a project's entry gives. It says that nobody else has pointed it elsewhere.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final
from uuid import UUID

from mdm_async.postgres.database import Connection

Bind = Callable[[UUID, UUID, str | None], bytes]
"""The binding of (GUID, image, only view)."""
_LENIENT: Final = 24 * 3600.0
"""Seconds in which nodes of a version that made none may still add entries."""


@dataclass(frozen=True, slots=True)
class Bound:
    """A file's entry as the catalog has it."""

    guid: UUID
    image: UUID
    only_view: str | None
    binding: bytes | None


async def of_image(db: Connection, image: UUID) -> list[Bound]:
    """Of all entries that point to it."""
    rows = await db.fetch("select guid, image, only_view, binding from entries where image = $1", image)
    return [Bound(*row.values()) for row in rows]


async def bind_some(db: Connection, bind: Bind, count: int) -> int:
    """Of those that have none; how many were looked at. They are believed to point where they point."""
    rows = await db.fetch(
        "select id, guid, image, only_view from entries where image is not null and binding is null"
        " order by id limit $1",
        count,
    )
    await db.execute(
        "update entries e set binding = w.binding from unnest($1::bigint[], $2::uuid[], $3::bytea[])"
        " as w (id, image, binding) where e.id = w.id and e.image = w.image and e.binding is null",
        [row["id"] for row in rows],
        [row["image"] for row in rows],
        [bind(row["guid"], row["image"], row["only_view"]) for row in rows],
    )
    return len(rows)


async def bind_some_members(db: Connection, bind: Bind, count: int) -> int:
    """As `bind_some`, of members of cohorts."""
    rows = await db.fetch(
        "select cohort, number, guid, image, view, version from cohort_members where binding is null"
        " order by cohort, number limit $1",
        count,
    )
    await db.execute(
        "update cohort_members m set binding = w.binding from unnest($1::bigint[], $2::int[], $3::uuid[], $4::bytea[])"
        " as w (cohort, number, image, binding)"
        " where m.cohort = w.cohort and m.number = w.number and m.image = w.image and m.binding is null",
        [row["cohort"] for row in rows],
        [row["number"] for row in rows],
        [row["image"] for row in rows],
        [bind(row["guid"], row["image"], pinned(row["view"], row["version"])) for row in rows],
    )
    return len(rows)


def pinned(view: str, version: str) -> str:
    """In place of the one view, of a cohort's member. No view has a name like that."""
    return f"{view} {version}"


async def renew(db: Connection, guid: UUID, binding: bytes) -> None:
    await db.execute("update entries set binding = $2 where guid = $1", guid, binding)


async def are_bound(db: Connection) -> bool:
    """Whether no entry is without one: then none may come to be."""
    found: bool = await db.fetchval("select bound is not null from installation")
    return found


async def end(db: Connection) -> None:
    """All that there were are bound; from now on all are, unless nodes of an older version may run still."""
    await db.execute(
        "update installation set bound = now() where bound is null"
        " and binding_since < now() - make_interval(secs => $1)",
        _LENIENT,
    )


def bindings(bind: Bind | None, files: Sequence[tuple[UUID, UUID, str | None]]) -> list[bytes | None]:
    """Of new entries; None of each where nobody binds."""
    return [bind(*one) if bind is not None else None for one in files]
