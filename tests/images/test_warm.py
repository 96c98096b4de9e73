"""Warm transfer URLs: none is read that nobody watches."""

import asyncio
import time
import weakref
from collections.abc import Callable
from pathlib import Path

from mdm_async.images.reading.representation import ClearView
from mdm_async.keys.wiped import Wiped
from mdm_async.names import ANONYMOUS
from tests.conftest import Server, running_server
from tests.faults.conditions import until, waiting_for_a_lock
from tests.postgres.for_tests import PostgresForTests
from tests.web.made_images import made


async def test_a_url_that_is_forgotten_while_it_is_looked_up_is_watched_again(own_server: Server) -> None:
    """Idle for half a minute, it is asked for at the moment at which the watch lets go of it."""
    await own_server.put("/a.dcm", made())
    url = (await own_server.prepare("/a.dcm"))["transferURL"]
    house = own_server.house
    (idle,) = house.warm
    async with house.database.transaction() as db:
        await db.execute("lock table grants in access exclusive mode")
        house.changed.turls([idle.grant.turl])  # so that it must be looked up
        opening = asyncio.create_task(house.warm.open(url.split("/t/")[1].split("/")[0]))
        await until(lambda: waiting_for_a_lock(own_server))
        house.warm.let_go(since=time.monotonic())
    opened = await opening
    assert opened is not idle
    with house.admission.sending(ANONYMOUS.payer, opened.ending, lambda: None):
        await own_server.srm("rm", surls=["/a.dcm"])
        await until(lambda: opened.ending.ended)


async def test_no_more_are_kept_than_set_and_the_keys_of_those_used_least_lately_go(
    postgres: PostgresForTests, migrated: str, tmp_path: Path
) -> None:
    dsn = await postgres.fresh_database(migrated)
    async with running_server(tmp_path / "data", dsn, keys={"cached": 2}) as server:
        for name in ("/a.dcm", "/b.dcm", "/c.dcm"):
            await server.put(name, made())
        await server.prepare("/a.dcm")
        key = _key_of_only(server)
        await server.prepare("/b.dcm")
        await server.prepare("/c.dcm")
        assert sorted(str(warm.grant.surl) for warm in server.house.warm) == ["/b.dcm", "/c.dcm"]
        assert key() is None


async def test_keys_that_nobody_uses_are_wiped_when_their_time_is_over(
    postgres: PostgresForTests, migrated: str, tmp_path: Path
) -> None:
    dsn = await postgres.fresh_database(migrated)
    async with running_server(tmp_path / "data", dsn, keys={"cached_seconds": 1.5}) as server:
        await server.put("/a.dcm", made())
        url = (await server.prepare("/a.dcm"))["transferURL"]
        while not list(server.house.warm):  # On a machine that stood still their time is over.
            await server.get(url)
        key = _key_of_only(server)
        await until(lambda: key() is None)
        assert list(server.house.warm) == []
        await server.get(url)  # opened anew


def _key_of_only(server: Server) -> Callable[[], Wiped | None]:
    (warm,) = server.house.warm
    assert isinstance(warm.served, ClearView)
    return weakref.ref(warm.served.view.parts[0].key.key)
