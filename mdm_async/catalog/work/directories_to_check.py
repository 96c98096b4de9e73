"""Directories to check: their files may lack views.

For a profile was applied or replaced, they were moved, or a node makes views by newer rules. Each is looked through a
page of names at a time; the directories in it are checked too, as rows of their own.
"""

from mdm_async.catalog.holdings import profiles
from mdm_async.catalog.work.queue import Queue, Row
from mdm_async.catalog.work.views_to_make import AGAIN, LACKS, InForce, lock_demands
from mdm_async.postgres.database import Connection

DIRECTORIES_TO_CHECK = Queue("directories to check", "directories_to_check", ("directory",), ("bigint",))
PAGE = 500

_ANEW = (
    "on conflict (directory) do update"
    " set after = '', since = now(), due = now(), attempts = 0, failure = null, taken_by = null"
)


async def add(db: Connection, directory: int) -> None:
    """A directory with all below it, in a transaction that began with `lock_demands`."""
    await db.execute(f"insert into directories_to_check (directory) values ($1) {_ANEW}", directory)


async def add_all(db: Connection) -> None:
    """Everything that is stored, in a transaction that began with `lock_demands`."""
    await db.execute(
        "insert into directories_to_check (directory)"
        f" select id from entries where parent is null and name = '' {_ANEW}"
    )


async def check_all_by_newer_rules(db: Connection, basic: str) -> None:
    """When a node starts: have everything checked if the one before it made the view `basic` in another version."""
    await lock_demands(db)
    if await db.fetchval(
        "update installation set basic = $1 where basic <> $1 returning true",
        basic,
    ):
        await add_all(db)


async def check_page(db: Connection, row: Row, in_force: InForce) -> bool:
    """Look through the next page of a directory that was taken; whether there is more of it.

    In one transaction: it goes on after this page, whoever does.
    """
    (directory,) = row.key
    after = await db.fetchval(
        "select after from directories_to_check where directory = $1 and taken_by = $2 for update",
        directory,
        row.taken_by,
    )
    if after is None:
        return False  # added anew meanwhile: it is checked from its beginning
    page = "(select * from entries where parent = $1 and name > $2 order by name limit $3)"
    await db.execute(
        "insert into views_to_make (image, view) select distinct w.image, w.view from"
        f" (select image, u.view, u.version, only_view from {page} e"
        "   cross join unnest($4::text[], $5::text[]) as u (view, version)) w"
        " where w.image is not null"
        " and case when w.only_view is null then w.view = any($6::text[]) else w.view = w.only_view end"
        f" and {LACKS} order by 1, 2 {AGAIN}",
        directory,
        after,
        PAGE,
        [view for view, _ in in_force],
        [version for _, version in in_force],
        await profiles.enabled_at(db, directory),
    )
    found = await db.fetchrow(
        f"with page as materialized {page}, below as ("
        "  insert into directories_to_check (directory) select id from page where is_directory order by id"
        f"  {_ANEW}"
        ") select max(name) as last, count(*) as count from page",
        directory,
        after,
        PAGE,
    )
    assert found is not None
    if found["count"] < PAGE:
        return False
    await db.execute(
        "update directories_to_check set after = $2 where directory = $1", directory, found["last"]
    )
    return True
