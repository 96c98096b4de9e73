"""Trees that are removed: cut off from the root, so that no name leads there, and then taken away a page at a time."""

from uuid import UUID

import asyncpg

from mdm_async.catalog.namespace import as_it_was
from mdm_async.catalog.namespace.as_it_was import Last
from mdm_async.errors import NotFound
from mdm_async.postgres.database import Connection


async def lock_tree(db: Connection, entry: int) -> None:
    """Let nobody move anything into a directory, or below it, until the transaction ends. Raises NotFound."""
    locked = await db.fetchval(
        "select true from entries where id = $1 and parent is not null and is_directory for update", entry
    )
    if not locked:
        raise NotFound("the directory has just been removed")


# A node of the version before takes it for a root, and lets nobody in.
_CUT = "parent = null, name = 'removed ' || id, acl = (select id from acls where digest = sha256('[]'))"


async def cut_off(db: Connection, entry: int, last: Last | None = None) -> None:
    """Take a directory with all below it out of the namespace: no name leads there from now on. The rest is work.

    `last`: what was in force in it.
    """
    await db.execute(
        f"with cut as (update entries set {_CUT} where id = $1 returning id)"
        " insert into trees_to_remove (directory, last) select id, $2 from cut",
        entry,
        last,
    )


_LAST = """jsonb_build_object(
    'lfn', (last ->> 'lfn') || '/' || name,
    'acl', coalesce(case when is_directory then default_acl end, acl, (last ->> 'acl')::bigint),
    'path', case when is_directory then (last -> 'path') || to_jsonb(coalesce(acl, (last ->> 'acl')::bigint))
        else last -> 'path' end,
    'view', coalesce(only_view, default_view, last ->> 'view'),
    'delivery', (last -> 'delivery') || coalesce(delivery, '{}'))"""
"""What was in force at an entry of a directory whose own is `last`."""


async def remove_page(db: Connection, directory: int, count: int) -> tuple[list[UUID], bool]:
    """Remove some of a directory that was cut off, or at last itself: the images that files pointed to, and whether
    there may be more. Directories in it are cut off, each to be removed by itself.
    """
    # A lock that was on its way when the directory was removed: there is no name any more that it could be on.
    await db.execute(
        "delete from locks where token = any(array(select b.token from locks_below($1) b))", directory
    )
    await db.execute("update cohorts set directory = null where directory = $1", directory)
    # Directories, then notes, then files, each in the order of their ids: as everybody does who locks several.
    await db.execute(
        "select from entries where is_directory and id = any(array("
        " select id from entries where parent = $1 order by name limit $2)) order by id for update",
        directory,
        count,
    )
    await db.execute(
        "select lock_notes(array(select image from entries where parent = $1 order by name limit $2))",
        directory,
        count,
    )
    row = await db.fetchrow(
        "with named as materialized (select id from entries where parent = $1 order by name limit $2"
        "), page as materialized ("
        "  select id, is_directory, name, acl, default_acl, default_view, only_view, delivery from entries"
        "   where id = any(array(select id from named)) and parent = $1 order by id for update"
        "), above as (select last from trees_to_remove where directory = $1 and last is not null limit 1"
        f"), went as (select id, is_directory, {_LAST} as last from page cross join above"
        "), cut as ("
        f"  update entries set {_CUT}"
        "  where id = any(array(select id from page where is_directory)) returning id"
        "), queued as (insert into trees_to_remove (directory, last)"
        "  select id, went.last from cut left join went using (id) on conflict do nothing"
        "), gone as ("
        "  delete from entries where id = any(array(select id from page where not is_directory)) returning image"
        ") select (select count(*) from page) as count, array(select image from gone) as images,"
        " (select jsonb_object_agg(id, last) from went where not is_directory) as went",
        directory,
        count,
    )
    assert row is not None
    if row["went"]:
        await as_it_was.note(db, {int(entry): last for entry, last in row["went"].items()})
    more = row["count"] == count
    if not more:
        try:
            async with db.transaction():
                await db.execute(
                    "delete from entries where id = $1 and parent is null and name <> ''", directory
                )
        except asyncpg.ForeignKeyViolationError:
            more = True  # a file came that was on its way when the directory was removed
    return row["images"], more
