"""kill -9 while all is wrapped anew: the server goes on with it when it is back, and loses nothing."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest

from tests.faults.conditions import until
from tests.faults.serving import Caller, serving
from tests.faults.test_killed_with_keys import Hospital, cut
from tests.postgres.for_tests import postgres_folder


class RotatingHospital(Hospital):
    """With an administrator who rotates keys, and enough under the old one for several pages."""

    async def rotate(self) -> Any:
        url = f"{self.server.url}/admin/v1/keys/rotate"
        headers = {"Authorization": f"Bearer {self.server.admin_token}"}
        async with self._http.post(url, headers=headers, json={}) as answer:
            assert answer.status == 200, await answer.text()
            return await answer.json()

    def keks(self) -> list[str]:
        return (self.server.data / "secrets" / "kek").read_text().split()

    async def read(self) -> bytes:
        """The image's de-identified view."""
        return await self.caller.read("/a.dcm", "basic")


@pytest.fixture
async def hospital() -> AsyncIterator[RotatingHospital]:
    settings = {"blobs__reserve_free": "0", "log__level": "error"}
    with postgres_folder() as folder:
        async with serving(folder / "mdm", **settings) as server, aiohttp.ClientSession() as http:
            yield RotatingHospital(server, Caller(http, server.url, server.admin_token), http)


async def test_it_goes_on_when_the_server_is_back(hospital: RotatingHospital) -> None:
    await hospital.put()
    before = await hospital.read()
    (old,) = hospital.keks()
    # Project keys are wrapped anew first: a page is done, and the next one waits.
    async with hospital.holding("select from mdm_keys.image_secrets for update"):
        rotating = asyncio.create_task(hospital.rotate())
        await until(lambda: hospital.count("mdm_keys.rotations", "done > 0"))
        await hospital.kill()
    await cut(rotating)
    assert len(hospital.keks()) == 2
    assert await hospital.count("mdm_keys.image_secrets", "epoch = 1") == 2
    await hospital.server.start()
    assert await hospital.read() == before
    await until(lambda: len(hospital.keks()) == 1)
    assert hospital.keks() != [old]
    assert await hospital.count("mdm_keys.image_secrets", "epoch = 2") == 2
    assert await hospital.count("mdm_keys.kek_proofs") == 2
    assert await hospital.count("mdm_keys.kek_proofs", "epoch = 1 and destroyed is not null") == 1
    assert await hospital.read() == before
    await hospital.server.kill()
    await hospital.server.start()
    assert await hospital.read() == before


async def test_a_key_that_was_made_and_not_yet_known_is_used_after_a_kill(hospital: RotatingHospital) -> None:
    await hospital.put()
    before = await hospital.read()
    async with hospital.holding("lock table mdm_keys.kek_proofs in share row exclusive mode"):
        rotating = asyncio.create_task(hospital.rotate())
        await until(lambda: len(hospital.keks()) == 2)
        await hospital.kill()
    await cut(rotating)
    assert await hospital.count("mdm_keys.kek_proofs") == 1
    await hospital.server.start()
    await until(lambda: len(hospital.keks()) == 1)
    assert await hospital.count("mdm_keys.image_secrets", "epoch = 2") == 2
    assert await hospital.read() == before


async def test_a_key_that_is_not_private_stops_no_server_that_runs_but_each_that_starts(
    hospital: RotatingHospital,
) -> None:
    (hospital.server.data / "secrets" / "kek").chmod(0o644)
    url = f"{hospital.server.url}/admin/v1/keys/rotate"
    headers = {"Authorization": f"Bearer {hospital.server.admin_token}"}
    async with aiohttp.ClientSession() as http, http.post(url, headers=headers, json={}) as answer:
        told = await answer.json()
    assert answer.status == 500, told
    assert len(hospital.keks()) == 1
    await hospital.put()
    await hospital.server.kill()
    process = await hospital.server.spawn(stderr=asyncio.subprocess.PIPE)
    _, error = await process.communicate()
    assert process.returncode == 78
    assert b"open to others; chmod 600" in error
    (hospital.server.data / "secrets" / "kek").chmod(0o600)
