"""Shredding where secrets are shared by three Postgres clusters, one of which is stopped: told, and finished later."""

import orjson

from tests.faults.conditions import until
from tests.faults.test_split_keys import Hospital, all_up, hospital, stopped, three
from tests.keys.stores import count
from tests.web.made_images import made
from tests.web.shredding.conftest import Shred, rows

__all__ = ["hospital", "three"]


async def test_a_stopped_store_destroys_its_share_when_it_is_back(hospital: Hospital) -> None:
    async with hospital.serving() as server:
        await all_up(server)
        await server.put("/a", made(seed=581))
        await server.put("/b", made(seed=582))
        secrets = await count(hospital.dsns[0], "image_secrets")
        async with stopped(hospital.three[2]):
            done = await Shred(server).do("/a", asAdministrator=True)
            receipt = orjson.loads(done["receipt"])
            assert (done["state"], {one["store"] for one in receipt["stores"]}) == ("begun", {"a", "b"})
            assert any("c is to destroy its keys: it is away" in one for one in receipt["waiting"])
            assert await rows(server, "images") == 1
            # One share is left, and can be read by nobody: it takes two.
            assert await count(hospital.dsns[0], "image_secrets") == secrets - 2
            assert await server.read("/b")
        await all_up(server)

        async def is_destroyed() -> bool:
            async with server.house.database.acquire() as db:
                await db.execute("update shreds set due = now() where taken_by is null")
            await server.house.shredder.destroyer.finish()
            return await rows(server, "shreds where destroyed is not null") == 1

        await until(is_destroyed)
        for dsn in hospital.dsns:
            assert await count(dsn, "image_secrets") == secrets - 2
        assert await server.read("/b")
