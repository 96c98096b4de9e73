"""This node's end of the change feed, when the database does not answer or is not the one that it was."""

import asyncio
import gc
import weakref
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from mdm_async.catalog.rights.feed import Changes
from mdm_async.errors import Unavailable
from mdm_async.images.transfers.feed_reader import FeedReader
from mdm_async.postgres.database import Connection, Database
from tests.conftest import Server
from tests.faults.conditions import until


class Silent:
    """A database whose connections come after a while, and never."""

    ended = 0

    def __init__(self) -> None:
        self.asked = 0
        self.silence = asyncio.Event()

    @asynccontextmanager
    async def acquire(self) -> AsyncIterator[Connection]:
        self.asked += 1
        await self.silence.wait()
        raise Unavailable("away", retry_after=1)
        yield


async def test_those_who_wait_for_a_database_that_is_silent_wait_once(server: Server) -> None:
    """One after the other each would wait as long as all before it together."""
    database = Silent()
    reader = FeedReader(database, server.house.views, server.house.mapping)  # type: ignore[arg-type]
    waiting = [asyncio.create_task(reader.catch_up(1.0)) for _ in range(20)]
    await asyncio.sleep(0)
    database.silence.set()
    assert all(isinstance(why, Unavailable) for why in await asyncio.gather(*waiting, return_exceptions=True))
    assert database.asked == 1
    with pytest.raises(Unavailable):
        await reader.catch_up(1.0)
    assert database.asked == 2, "who comes later asks anew"


async def test_after_a_connection_has_ended_nothing_is_taken_for_known(
    server: Server,
) -> None:
    """Postgres may have crashed between two looks: it then gives numbers of transactions anew which the last snapshot
    takes for seen."""
    async with Database.connect(
        server.dsn, pool_size=2
    ) as database:  # of nobody else's, who might use what is cut
        await _looks_after_an_end(server, database)


async def _looks_after_an_end(server: Server, database: Database) -> None:
    brought: list[Changes] = []
    reader = FeedReader(database, server.house.views, server.house.mapping)
    reader.followers.append(lambda changes, _: brought.append(changes))
    for moment in range(1, 3):
        reader.as_of = moment - 1
        await reader.catch_up(moment)
    assert [changes.everything for changes in brought] == [True]
    async with database.acquire() as one, database.acquire():
        idle = one.get_server_pid()
    async with server.house.database.acquire() as db:
        await db.execute("select pg_terminate_backend($1)", idle)
    await until(lambda: database.ended)
    reader.as_of = 0
    await reader.catch_up(1)
    assert [changes.everything for changes in brought] == [True, True]


class Held:
    """Something large of a request's."""


async def test_a_failure_that_many_waited_for_keeps_nothing_of_theirs(server: Server) -> None:
    """What was raised holds the frames that it went through, and what is in them: bodies and credentials."""
    database = Silent()
    reader = FeedReader(database, server.house.views, server.house.mapping)  # type: ignore[arg-type]
    held: list[weakref.ref[Held]] = []

    async def request() -> None:
        body = Held()
        held.append(weakref.ref(body))
        await reader.catch_up(1.0)

    waiting = [asyncio.create_task(request()) for _ in range(20)]
    await asyncio.sleep(0)
    database.silence.set()
    await asyncio.wait(waiting)
    assert all(isinstance(one.exception(), Unavailable) for one in waiting)
    waiting.clear()
    gc.collect()
    assert sum(one() is not None for one in held) <= 1
    reader.database = server.house.lanes.control
    await reader.catch_up(1.0)
    gc.collect()
    assert not any(one() for one in held), "the database is there again"
