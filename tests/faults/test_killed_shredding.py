"""kill -9 while something is shredded: nothing has happened, or the server finishes it when it is back."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any
from uuid import uuid4

import aiohttp
import pytest

from tests.faults.conditions import until
from tests.faults.serving import Caller, serving
from tests.faults.test_killed_with_keys import Hospital, cut
from tests.postgres.for_tests import postgres_folder


class ShreddingHospital(Hospital):
    """With an administrator who shreds."""

    async def call(self, method: str, path: str, expect: int = 200, **options: Any) -> Any:
        headers = {"Authorization": f"Bearer {self.server.admin_token}"}
        async with self._http.request(
            method, f"{self.server.url}/admin/v1/{path}", headers=headers, **options
        ) as answer:
            tree = await answer.json()
            assert answer.status == expect, tree
            return tree

    async def shred(self, id_: str) -> Any:
        wanted = {"surls": ["/a.dcm"], "asAdministrator": True}
        found = await self.call("POST", "shred/look", json=wanted)
        return await self.call("POST", "shred", json={**wanted, "id": id_, "digest": found["digest"]})

    async def is_destroyed(self) -> bool:
        gone = await self.is_empty("mdm_keys.image_secrets", "images", "parts", "views", "blobs")
        return gone and await self.count("shreds", "destroyed is not null") == 1


@pytest.fixture
async def hospital() -> AsyncIterator[ShreddingHospital]:
    settings = {"blobs__reserve_free": "0", "log__level": "error"}
    with postgres_folder() as folder:
        async with serving(folder / "mdm", **settings) as server, aiohttp.ClientSession() as http:
            yield ShreddingHospital(server, Caller(http, server.url, server.admin_token), http)


async def test_killed_before_its_commit_it_has_not_happened(hospital: ShreddingHospital) -> None:
    await hospital.put()
    async with hospital.holding("lock table shreds in share mode"):
        shredding = asyncio.create_task(hospital.shred(str(uuid4())))
        await until(lambda: hospital.count("pg_locks", "not granted"))
        await hospital.kill()
    await cut(shredding)
    await hospital.start_much_later()
    assert await hospital.count("images", "doomed is null") == 1
    assert await hospital.count("mdm_keys.image_secrets") == 2
    done = await hospital.shred(str(uuid4()))
    assert done["state"] == "destroyed"


async def test_killed_after_its_commit_it_is_finished_when_the_server_is_back(
    hospital: ShreddingHospital,
) -> None:
    await hospital.put()
    id_ = str(uuid4())
    async with hospital.holding("select from mdm_keys.image_secrets for update"):
        shredding = asyncio.create_task(hospital.shred(id_))
        await until(lambda: hospital.count("shreds"))
        await hospital.kill()
    await cut(shredding)
    assert await hospital.count("mdm_keys.image_secrets") == 2
    await hospital.start_much_later()
    await until(hospital.is_destroyed)
    # Whoever lost the answer asks again, or for the receipt.
    again = {"surls": ["/a.dcm"], "asAdministrator": True, "id": id_, "digest": "0" * 64}
    assert (await hospital.call("POST", "shred", json=again))["state"] == "destroyed"
    assert (await hospital.call("GET", f"shreds/{id_}"))["state"] == "destroyed"
    assert await hospital.count("audit", "act = 'shred' and outcome = 'destroyed'") == 1


async def test_killed_between_the_keys_and_the_rest_it_is_finished(hospital: ShreddingHospital) -> None:
    await hospital.put()
    async with hospital.holding("select from parts for update"):
        shredding = asyncio.create_task(hospital.shred(str(uuid4())))
        await until(lambda: hospital.is_empty("mdm_keys.image_secrets"))
        await hospital.kill()
    await cut(shredding)
    assert await hospital.count("parts") > 0
    await hospital.start_much_later()
    await until(hospital.is_destroyed)
