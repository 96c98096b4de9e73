"""De-identification profiles as the administrators gave them, and the directories whose files get their views."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final, NamedTuple
from uuid import UUID

from mdm_async.names import View
from mdm_async.postgres.database import Connection


@dataclass(frozen=True, slots=True)
class StoredProfile:
    """A profile in force. `source` is its TOML, `digest` that of its rules."""

    name: View
    source: str
    digest: str
    added: datetime
    added_by: str


async def listing(db: Connection) -> list[StoredProfile]:
    rows = await db.fetch("select name, source, digest, added, added_by from profiles order by name")
    return [StoredProfile(*row.values()) for row in rows]


async def digests(db: Connection) -> dict[str, str]:
    """The digest of each profile in force, by name, and of each project's mapping, by "/" and the project's name:
    enough to see that one has changed. By "//" and the project's name, when its key came from another installation.
    """
    found: dict[str, str] = await db.fetchval(f"select {DIGESTS}")
    return found


DIGESTS: Final = (
    "(select coalesce(jsonb_object_agg(name, digest), '{}') from ("
    "select name, digest from profiles union all select '/' || project, digest from project_mappings"
    " union all select '//' || project, at::text from followed_keys) d)"
)
"""As `digests` gives them."""


async def put(db: Connection, name: str, source: str, digest: str, by: str) -> str | None:
    """Put a profile into force; the digest of the one of that name before, if there was one."""
    before: str | None = await db.fetchval("select digest from profiles where name = $1 for update", name)
    await db.execute(
        "insert into profiles (name, source, digest, added_by) values ($1, $2, $3, $4) on conflict (name)"
        " do update set source = $2, digest = $3, added_by = $4, added = now()",
        name,
        source,
        digest,
        by,
    )
    return before


async def enable(db: Connection, directory: int, view: str) -> None:
    """From now on files in this directory and below it get this view too."""
    await db.execute("select pg_advisory_xact_lock(hashtext('mdm enable'))")  # two at once would lose one
    enabled = await enabled_at(db, directory)
    if view not in enabled:
        await db.execute("update entries set views = $2 where id = $1", directory, [*enabled, view])
    await db.execute(
        "with recursive below as ("
        "  select id from entries where id = $1"
        "  union all select e.id from below b cross join lateral ("
        "    select id from entries where is_directory and case when is_directory then parent end = b.id offset 0) e"
        ") update entries set views = views || $2::text"
        " where id in (select id from below) and views is not null and not $2 = any(views)",
        directory,
        view,
    )


async def enabled_at(db: Connection, directory: int) -> list[str]:
    """The views that files in this directory get."""
    enabled = await db.fetchval(f"select {ENABLED.format('$1::bigint')}", directory)
    return list(enabled or [])


ENABLED: Final = (
    "(with recursive up as ("
    "  select id, parent, views, 0 as height from entries where id = {0}"
    "  union all select e.id, e.parent, e.views, height + 1 from up cross join lateral ("
    "    select id, parent, views from entries where id = up.parent and up.views is null offset 0) e"
    ") select views from up where views is not null order by height limit 1)"
)
"""As `enabled_at` gives them, of a directory; or null."""


async def wanted_of(db: Connection, image: UUID) -> list[str]:
    """The views that an image's files get: those of their directories, or the one that is theirs alone."""
    rows = await db.fetch("select distinct parent, only_view from entries where image = $1", image)
    views = [row["only_view"] for row in rows if row["only_view"] is not None]
    for row in rows:
        if row["only_view"] is None:
            views += await enabled_at(db, row["parent"])
    return sorted(set(views))


async def set_default(db: Connection, directory: int, view: str) -> None:
    """Let this view be what files in the directory give when none is named."""
    await db.execute("update entries set default_view = $2 where id = $1", directory, view)


async def directories_below(db: Connection, directory: int) -> list[int]:
    """This directory and all that are in it."""
    rows = await db.fetch(
        "with recursive below as ("
        "  select id from entries where id = $1"
        "  union all select e.id from below b cross join lateral ("
        "    select id from entries where is_directory and case when is_directory then parent end = b.id offset 0) e"
        ") select id from below",
        directory,
    )
    return [row["id"] for row in rows]


IS_ONLINE = "i.locality in ('ONLINE', 'ONLINE_AND_NEARLINE')"
"""Of others there is nothing to make views of; they get theirs when their bytes come."""


class Standing(NamedTuple):
    """An image and the state of its view: `pending` when it has none, or no refusal, in that version or a newer one."""

    image: UUID
    state: str


async def standings(
    db: Connection,
    directory: int,
    directories: Sequence[int],
    view: str,
    version: str,
    after: str,
    count: int,
) -> tuple[list[Standing], str | None]:
    """How the files of a directory stand of which views are made, the next so many names; and the last of these names,
    None when they were the last. An image that has names in several of these directories is told in one of them.
    """
    rows = await db.fetch(
        "with page as materialized ("
        "  select id, name, image, only_view from entries where parent = $1 and name > $5 order by name limit $6"
        ") select p.name, i.id as image, coalesce(v.state, 'pending') as state"
        " from page p left join lateral ("
        f"  select id from images i where i.id = p.image and doomed is null and {IS_ONLINE}"
        "   and (p.only_view is null or p.only_view = $3)"
        # Most images have one name, and for these the directories need not be looked through.
        "   and (not exists (select from entries o where o.image = p.image and o.id < p.id offset 0) or not exists ("
        "    select from entries o where o.image = p.image and o.id < p.id and o.parent = any($2::bigint[])"
        "     and (o.only_view is null or o.only_view = $3) offset 0)) offset 0"
        " ) i on true left join lateral ("
        "  select state from views v where v.image = i.id and v.name = $3 and (v.version = $4"
        # Made by a node that runs a newer revision already.
        "   or split_part(v.version, '.', 2)::int > split_part($4, '.', 2)::int)"
        "   order by v.version = $4 desc limit 1"
        " ) v on true order by p.name",
        directory,
        list(directories),
        view,
        version,
        after,
        count,
    )
    found = [Standing(row["image"], row["state"]) for row in rows if row["image"] is not None]
    return found, rows[-1]["name"] if len(rows) == count else None


async def release(db: Connection, image: UUID, view: str, version: str, by: str) -> bool:
    """Let a view out of quarantine: it is made again, without what held it back. False when it is not there."""
    gone = await db.fetchval(
        "delete from views where image = $1 and name = $2 and version = $3 and state = 'quarantined' returning true",
        image,
        view,
        version,
    )
    if gone:
        await db.execute(
            "insert into releases (image, view, released_by, revision)"
            " values ($1, $2, $4, split_part($3, '.', 2)::int)"
            " on conflict (image, view) do update"
            " set released_by = excluded.released_by, revision = excluded.revision, at = now()",
            image,
            view,
            version,
            by,
        )
    return bool(gone)


async def forget_releases(db: Connection, image: UUID) -> None:
    """Nobody has looked at the pixels that it has now."""
    await db.execute("delete from releases where image = $1", image)


async def is_released(db: Connection, image: UUID, view: str, floor: int) -> bool:
    """Whether somebody let it go who was asked by the rules of this revision, or of a later one."""
    return bool(
        await db.fetchval(
            "select true from releases where image = $1 and view = $2 and revision >= $3", image, view, floor
        )
    )
