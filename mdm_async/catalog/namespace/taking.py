"""What directories take in beside DICOM files as PS3.10 has them; said once, in force below too.

`force`: files that break PS3.10, as if each were stored with force. `opaque`: files that are not DICOM.
"""

from typing import Final, Literal, NamedTuple

from mdm_async.errors import Forbidden
from mdm_async.postgres.database import Connection

What = Literal["force", "opaque"]
_AT: Final = (
    "with recursive up as ("
    "  select id, parent, {0}, 0 as height from entries where id = $1"
    "  union all select e.id, e.parent, e.{0}, height + 1 from up cross join lateral ("
    "    select id, parent, {0} from entries where id = up.parent and up.{0} is null offset 0) e"
    ") select {0}, id from up where {0} is not null order by height limit 1"
)
_MOST_SAY: Final = 100_000
"""Directories that take opaque files by their own word."""


class Said(NamedTuple):
    """What is in force at a directory, and the entry that says so."""

    yes: bool
    entry: int


class Taken(NamedTuple):
    """What a directory takes, and the views that its files get."""

    force: bool
    opaque: bool
    views: list[str]


async def said_at(db: Connection, directory: int, what: What) -> Said | None:
    """What the nearest directory that says anything says; None when none does."""
    row = await db.fetchrow(_AT.format(what), directory)
    return Said(row[what], row["id"]) if row is not None else None


async def taken_at(db: Connection, directory: int) -> Taken:
    """All at once."""
    row = await db.fetchrow(
        "with recursive up as ("
        "  select id, parent, force, opaque, views, 0 as height from entries where id = $1"
        "  union all select e.id, e.parent, e.force, e.opaque, e.views, height + 1 from up cross join lateral ("
        "    select id, parent, force, opaque, views from entries where id = up.parent offset 0) e"
        ") select (select force from up where force is not null order by height limit 1) as force,"
        " (select opaque from up where opaque is not null order by height limit 1) as opaque,"
        " (select views from up where views is not null order by height limit 1) as views",
        directory,
    )
    assert row is not None
    return Taken(bool(row["force"]), bool(row["opaque"]), row["views"] or [])


async def say(db: Connection, directory: int, what: What, yes: bool | None) -> None:
    """What a directory says from now on; None: nothing."""
    await db.execute(f"update entries set {what} = $2 where id = $1", directory, yes)


async def demand_takes_opaque(db: Connection, directory: int) -> None:
    """Return when files that are not DICOM may lie here. Raises Forbidden."""
    said = await said_at(db, directory, "opaque")
    if said is None or not said.yes:
        raise Forbidden(
            "the directory does not take opaque files, which are not DICOM",
            remedy="put it where they are taken, or let its owner allow it: mdm dir set LFN --opaque",
        )


async def some_take_opaque_below(db: Connection, directory: int) -> bool:
    """Whether a directory, or one below it, takes opaque files by its own word; so it is, too, when more say so
    anywhere than are looked at."""
    # From those up that say so: what is below may be everything.
    row = await db.fetchrow(
        "with recursive says as materialized (select id, parent from entries where opaque limit $2),"
        " up (id, parent) as ("
        "  select id, parent from says union"
        "  select e.id, e.parent from up cross join lateral ("
        "    select id, parent from entries where id = up.parent offset 0) e"
        ") select (select count(*) from says) as said, exists (select from up where id = $1) as found",
        directory,
        _MOST_SAY + 1,
    )
    assert row is not None
    return bool(row["found"]) or row["said"] > _MOST_SAY
