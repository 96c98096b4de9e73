"""How the catalog's database stands, looked at now and then: there, and taking changes."""

import asyncio

import structlog

from mdm_async.errors import DatabaseBusy, DatabaseReadOnly, Unavailable
from mdm_async.postgres.lanes import Lanes
from mdm_async.postgres.metrics import WRITABLE

_LOOK = 2.0
"""Seconds."""

_log = structlog.get_logger()


async def watch_database(lanes: Lanes) -> None:
    """A primary that was demoted keeps its connections, and would go on to be asked: they are dropped, so that those
    made next lead to where the DSN leads now."""
    was = ""
    while True:
        now = await _standing(lanes)
        if now == DatabaseReadOnly.title:
            await lanes.drop_connections()
        if now and now != was:
            _log.error("the catalog's database cannot be written to", reason=now)
        if was and not now:
            _log.info("the catalog's database takes changes again")
        was = now
        await asyncio.sleep(_LOOK)


async def _standing(lanes: Lanes) -> str:
    """Empty when all is well, else what is wrong."""
    try:
        await lanes.control.demand_writable()
    except DatabaseBusy:
        return ""  # It is there; who waits for it is told.
    except Unavailable as why:
        WRITABLE.set(0)
        return why.title if isinstance(why, DatabaseReadOnly) else why.detail
    WRITABLE.set(1)
    return ""
