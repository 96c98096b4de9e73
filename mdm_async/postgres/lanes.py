"""Connections in lanes, so that no kind of work can use up those of another.

control   revocation, leases, the audit, health: little and short, and others' safety depends on it
requests  what handlers do for their callers
bulk      sweeps, backfills, checks of everything, removal of whole trees: what may be long
keys      the key store's own, should it lie in the same database
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from typing import Self

import structlog

from mdm_async.limits import Near
from mdm_async.postgres.database import Connection, Database, Timeouts
from mdm_async.settings import DatabaseSettings

_KEYS = 4

_log = structlog.get_logger()

_ROOM = """
    select current_setting('max_connections')::int - current_setting('superuser_reserved_connections')::int
"""


def most_connections(settings: DatabaseSettings) -> int:
    """That a process with these settings makes."""
    return settings.control_pool + settings.pool + settings.bulk_pool + _KEYS


async def warn_of_little_room(connection: Connection, settings: DatabaseSettings, processes: int = 1) -> None:
    """Say when Postgres does not take as many connections as this node alone may make, by so many processes with these
    settings each: requests fail under load."""
    room = await connection.fetchval(_ROOM)
    most = processes * most_connections(settings)
    if room < most:
        _log.warning(
            "the database takes fewer connections than this node may make; raise max_connections or lower "
            "database.pool",
            takes=room,
            wanted=most,
        )


@dataclass(frozen=True, slots=True)
class Lanes:
    control: Database
    requests: Database
    bulk: Database
    keys: Database

    @classmethod
    @asynccontextmanager
    async def connect(cls, target: str, settings: DatabaseSettings) -> "AsyncIterator[Self]":
        """All of them, open for the context. Raises Unavailable."""
        lock, idle = settings.lock_timeout, settings.idle_timeout
        control = Timeouts(settings.control_statement_timeout, lock, idle)
        requests = Timeouts(settings.statement_timeout, lock, idle)
        bulk = Timeouts(settings.bulk_statement_timeout, lock, idle)
        lane = partial(Database.connect, target, acquire_timeout=settings.acquire_timeout)
        async with (
            lane(pool_size=settings.control_pool, timeouts=control) as first,
            lane(
                pool_size=settings.pool,
                share=max(1, settings.pool * 3 // 4),
                waiting=settings.waiting,
                timeouts=requests,
            ) as second,
            lane(pool_size=settings.bulk_pool, timeouts=bulk) as third,
            lane(pool_size=_KEYS, timeouts=requests) as fourth,
        ):
            yield cls(first, second, third, fourth)

    @property
    def all(self) -> tuple[Database, ...]:
        return self.control, self.requests, self.bulk, self.keys

    def near(self) -> list[Near]:
        """How many connections are used, and how many requests wait for one."""
        requests = self.requests.turns
        return [
            Near("database.control_pool", self.control.turns.used, self.control.turns.places),
            Near("database.pool", requests.used, requests.places),
            Near("database.bulk_pool", self.bulk.turns.used, self.bulk.turns.places),
            Near("database.waiting", requests.waiting, requests.most_waiting),
        ]

    async def drop_connections(self) -> None:
        for lane in self.all:
            await lane.drop_connections()

    @property
    def full_at(self) -> float:
        """When (`time.monotonic`) Postgres last said that its disk is full."""
        return max(lane.full_at for lane in self.all)
