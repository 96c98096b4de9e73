"""Everything that is stored looked through for views that are missing, and these made."""

from mdm_async.catalog.work import directories_to_check
from mdm_async.catalog.work.views_to_make import lock_demands
from mdm_async.images.views.backfill import check_directories, make_views
from tests.conftest import Server
from tests.faults.conditions import until


async def backfill(server: Server) -> int:
    """How many views were made, be it by the server at the same time."""
    house, node = server.house, server.house.node
    async with house.database.transaction() as db:
        await lock_demands(db)
        await directories_to_check.add_all(db)
        began = await db.fetchval("select clock_timestamp()")
    await check_directories(house.database, house.views, node)
    await make_views(house.workshop, house.shelf, node)
    await settled(server)
    async with house.database.acquire() as db:
        return int(await db.fetchval("select count(*) from views where made >= $1", began))


async def settled(server: Server) -> None:
    """Wait until the server has made what it makes by itself."""
    house = server.house

    async def nothing_is_due() -> bool:
        async with house.database.acquire() as db:
            return not await db.fetchval(
                "select exists (select from views_to_make where taken_by is not null or due <= now())"
                " or exists (select from directories_to_check)"
            )

    await until(nothing_is_due)
