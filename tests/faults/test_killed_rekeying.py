"""kill -9 while an image is given other keys: it has those before or those after, and of the others nothing stays."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import asyncpg
import pytest

from tests.faults.conditions import blob_files, until
from tests.faults.serving import Caller, serving
from tests.faults.test_killed_with_keys import Hospital, cut
from tests.postgres.for_tests import postgres_folder


class RekeyingHospital(Hospital):
    """With somebody who changes keys."""

    async def rekey(self) -> Any:
        headers = {"Authorization": f"Bearer {self.server.admin_token}"}
        async with self._http.post(
            f"{self.server.url}/admin/v1/keys/rekey", json={"surls": ["/a.dcm"]}, headers=headers
        ) as answer:
            return (await answer.json())["files"][0]

    async def nobody_reads_any_more(self) -> None:
        connection = await asyncpg.connect(self.server.dsn)
        try:
            await connection.execute("update superseded_keys set due = now()")
        finally:
            await connection.close()

    async def is_of_one_generation(self) -> bool:
        """Nothing is there but what the image's keys of today open, once all is swept."""
        await self.caller.post("/admin/v1/fsck", repair=True)
        return (
            await self.is_empty("mdm_keys.intents", "superseded_keys", "keys_to_forget")
            and await self.count("mdm_keys.image_secrets") == 2
            and await self.count("blobs", "state <> 'stored'") == 0
            and await self.count("blobs") == await self.count("parts", "blob is not null")
            and await self.count("blobs") == len(blob_files(self.server.data))
        )


@pytest.fixture
async def hospital() -> AsyncIterator[RekeyingHospital]:
    settings = {
        "blobs__reserve_free": "0",
        "blobs__inline_max": "4096",
        "blobs__lease_seconds": "2",
        "log__level": "error",
    }
    with postgres_folder() as folder:
        async with serving(folder / "mdm", **settings) as server, aiohttp.ClientSession() as http:
            yield RekeyingHospital(server, Caller(http, server.url, server.admin_token), http)


@pytest.mark.parametrize(
    ("held", "reached"),
    [
        # New blobs are being written.
        ("lock table mdm_keys.intents in share mode", "blobs where state = 'writing'"),
        # The new secrets are stored.
        ("select from images for update", "mdm_keys.intents"),
        # All is written, in a transaction that is not over.
        ("lock table superseded_keys in share mode", "mdm_keys.intents"),
    ],
)
async def test_killed_before_its_commit_it_has_not_happened_and_nothing_stays(
    hospital: RekeyingHospital, held: str, reached: str
) -> None:
    await hospital.put()
    await until(lambda: hospital.is_empty("mdm_keys.intents"))
    before = await hospital.caller.read("/a.dcm", "basic")
    table, _, where = reached.partition(" where ")
    async with hospital.holding(held):
        rekeying = asyncio.create_task(hospital.rekey())
        await until(lambda: hospital.count(table, where or "true"))
        await until(lambda: hospital.count("pg_locks", "not granted"))
        await hospital.kill()
    await cut(rekeying)
    assert await hospital.count("images", "generation = 1") == 1
    await hospital.start_much_later()
    await until(hospital.is_of_one_generation)
    assert await hospital.caller.read("/a.dcm", "basic") == before
    done = await hospital.rekey()
    assert (done["generation"], done["changed"]) == (2, True)
    await hospital.nobody_reads_any_more()
    await until(hospital.is_of_one_generation)
    assert await hospital.caller.read("/a.dcm", "basic") == before


async def test_killed_after_its_commit_it_is_finished_when_the_server_is_back(
    hospital: RekeyingHospital,
) -> None:
    await hospital.put()
    await until(lambda: hospital.is_empty("mdm_keys.intents"))
    before = await hospital.caller.read("/a.dcm", "basic")
    async with hospital.holding("lock table images in share mode"):
        rekeying = asyncio.create_task(hospital.rekey())
        await until(lambda: hospital.count("mdm_keys.intents"))
        confirming = hospital.holding("select from mdm_keys.intents for update")
        await confirming.__aenter__()
    await until(lambda: hospital.count("superseded_keys"))
    await hospital.kill()
    await confirming.__aexit__(None, None, None)
    await cut(rekeying)
    assert await hospital.count("mdm_keys.image_secrets") == 4
    await hospital.start_much_later()
    # Who lost the answer asks again: it is done.
    done = await hospital.rekey()
    assert (done["generation"], done["changed"]) == (2, False)
    assert await hospital.caller.read("/a.dcm", "basic") == before
    await hospital.nobody_reads_any_more()
    await until(hospital.is_of_one_generation)
    assert await hospital.caller.read("/a.dcm", "basic") == before
    assert await hospital.count("audit", "act = 'keys rekey'") == 1
