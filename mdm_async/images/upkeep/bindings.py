"""Entries, and members of cohorts, that were made before there were bindings are bound, as they are; then none is
believed without one."""

from mdm_async.catalog.namespace import bindings
from mdm_async.images.shift import over_and_over
from mdm_async.keys.derive import EntryBindings
from mdm_async.postgres.database import Database

_PAGE = 1000
_PAUSE = 60.0


async def bind_entries_forever(database: Database, made: EntryBindings) -> None:
    async def bind_all() -> None:
        await bind_entries(database, made)

    await over_and_over("binding entries to their images", bind_all, _PAUSE)


async def bind_entries(database: Database, made: EntryBindings) -> None:
    """Until none is left; `made.demanded` once none may come to be, for good."""
    while not made.demanded:
        async with database.transaction() as db:
            made.demanded = await bindings.are_bound(db)
            if made.demanded:
                return
            bound = await bindings.bind_some(db, made.of, _PAGE)
            if not bound + await bindings.bind_some_members(db, made.of, _PAGE):
                await bindings.end(db)
                made.demanded = await bindings.are_bound(db)
                return
