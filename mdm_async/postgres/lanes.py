"""Connections in three lanes, so that no kind of work can use up those of another.

control   revocation, leases, the audit, health: little and short, and others' safety depends on it
requests  what handlers do for their callers
bulk      sweeps, backfills, checks of everything, removal of whole trees: what may be long
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Self

from mdm_async.postgres.database import Database, Timeouts
from mdm_async.settings import DatabaseSettings


@dataclass(frozen=True, slots=True)
class Lanes:
    control: Database
    requests: Database
    bulk: Database

    @classmethod
    @asynccontextmanager
    async def connect(cls, target: str, settings: DatabaseSettings) -> "AsyncIterator[Self]":
        """All three, open for the context. Raises Unavailable."""
        lock, idle = settings.lock_timeout, settings.idle_timeout
        control = Timeouts(settings.control_statement_timeout, lock, idle)
        requests = Timeouts(settings.statement_timeout, lock, idle)
        bulk = Timeouts(settings.bulk_statement_timeout, lock, idle)
        async with (
            Database.connect(target, pool_size=settings.control_pool, timeouts=control) as first,
            Database.connect(target, pool_size=settings.pool, timeouts=requests) as second,
            Database.connect(target, pool_size=settings.bulk_pool, timeouts=bulk) as third,
        ):
            yield cls(first, second, third)
