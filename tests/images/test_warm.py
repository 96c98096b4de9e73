"""Warm transfer URLs: none is read that nobody watches."""

import asyncio
import time

from mdm_async.names import ANONYMOUS
from tests.conftest import Server
from tests.faults.conditions import until, waiting_for_a_lock
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
