"""The audit's background work on a node: refusals and reads written, the trail sealed and published; all of it at the
end too, while the database is still there."""

import asyncio
from collections.abc import AsyncIterator
from concurrent.futures import Executor
from contextlib import asynccontextmanager

import structlog

from mdm_async.auditing.gazette import Gazette
from mdm_async.auditing.reads import Reads
from mdm_async.auditing.refusals import Refusals
from mdm_async.auditing.sealing import Sealer
from mdm_async.auditing.signing_key import signing_key
from mdm_async.catalog import installation
from mdm_async.postgres.database import Database
from mdm_async.settings import Settings
from mdm_async.watches import Watches

_AT_THE_END = 10.0
"""Seconds that the last writing may take, should the database be away."""

_log = structlog.get_logger()


@asynccontextmanager
async def auditing(
    settings: Settings,
    database: Database,
    disk: Executor,
    refusals: Refusals,
    reads: Reads,
    watches: Watches,
) -> AsyncIterator[None]:
    """Enter it before the faces listen, so that it is left after the last request has ended.

    Raises UnsafeSettings when there is no usable key.
    """
    gazette = Gazette.of(settings.audit.seals, settings.data)
    async with database.acquire() as db:
        own = await installation.identity(db)
    sealer = Sealer(database, own, signing_key(settings), gazette, disk)
    try:
        async with watches.running() as beside:
            for work in (refusals.write_forever(), reads.write_forever(), sealer.run_forever()):
                beside(work)
            yield
    finally:
        try:
            async with asyncio.timeout(_AT_THE_END):
                await refusals.close()
                await reads.close()
                await sealer.tick()
        except TimeoutError:
            _log.error("the last of the audit could not be written")
