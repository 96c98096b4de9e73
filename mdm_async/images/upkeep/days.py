"""Partitions of grants, kept ahead of the days that need them. What only grants name goes with those that are over."""

from datetime import timedelta

import structlog

from mdm_async.catalog.grants import partitions
from mdm_async.catalog.rights import callers
from mdm_async.images.shift import over_and_over
from mdm_async.postgres.database import Database

_INTERVAL = 60.0
_PAGE = 1000
_ENOUGH = 3
"""Days ahead, below which somebody should look why they are not made."""

_log = structlog.get_logger()


async def keep_days_forever(database: Database) -> None:
    async def keep() -> None:
        await keep_days(database)

    await over_and_over("making partitions", keep, _INTERVAL)


async def keep_days(database: Database) -> None:
    """Make what is missing from today on, drop what is over. What cannot be had now is tried again."""
    async with database.acquire() as db:
        today, there = await partitions.days(db)
    ahead = [today + timedelta(days) for days in range(partitions.AHEAD + 1)]
    for day in ahead:
        if day not in there and await partitions.make(database, day):
            there.add(day)
    lacking = next((days for days, day in enumerate(ahead) if day not in there), None)
    if lacking is not None and lacking < _ENOUGH:
        _log.error(
            "grants have no partition for days that come soon: something holds a lock on the table, look at"
            " pg_stat_activity; without one nothing can be prepared on that day",
            days_left=lacking,
        )
    for day in sorted(there):
        if day < today - timedelta(partitions.KEPT) and await partitions.drop(database, day):
            there.remove(day)
    more = True
    while more:
        async with database.acquire() as db:
            more = await callers.forget_unused(db, min(there, default=today), _PAGE) == _PAGE
