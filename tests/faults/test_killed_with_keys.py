"""kill -9 between the key store and the catalog: an acknowledged image keeps its secrets, nothing else has any."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any

import aiohttp
import asyncpg
import pytest

from tests.faults.conditions import until
from tests.faults.serving import AWAY, Caller, Serve, serving
from tests.postgres.for_tests import postgres_folder
from tests.web.made_images import made

_HOLDER = "holds a lock"
IMAGE = made(pixels=20_000, seed=3)


class Hospital:
    """A server to be killed, its database, and whoever uses it."""

    def __init__(self, server: Serve, caller: Caller, http: aiohttp.ClientSession) -> None:
        self.server, self.caller, self._http = server, caller, http

    async def put(self) -> None:
        prepared = await self.caller.srm("prepareToPut", files=[{"surl": "/a.dcm"}])
        async with self._http.put(prepared["files"][0]["transferURL"], data=IMAGE) as answer:
            assert answer.status == 201, await answer.text()
        done = await self.caller.srm("putDone", requestToken=prepared["requestToken"], surls=["/a.dcm"])
        assert done["returnStatus"]["statusCode"] == "SRM_SUCCESS", done

    async def count(self, table: str, where: str = "true") -> int:
        connection = await asyncpg.connect(self.server.dsn)
        try:
            found: int = await connection.fetchval(f"select count(*) from {table} where {where}")
            return found
        finally:
            await connection.close()

    @asynccontextmanager
    async def holding(self, statement: str) -> AsyncIterator[None]:
        """A lock in the database, held as long as the context lasts."""
        connection = await asyncpg.connect(self.server.dsn, server_settings={"application_name": _HOLDER})
        try:
            async with connection.transaction():
                await connection.execute(statement)
                yield
        finally:
            await connection.close()

    async def kill(self) -> None:
        """The server, and what Postgres was doing for it."""
        await self.server.kill()
        connection = await asyncpg.connect(self.server.dsn)
        try:
            await connection.execute(
                "select pg_terminate_backend(pid, 5000) from pg_stat_activity"
                " where datname = current_database() and backend_type = 'client backend'"
                f" and pid <> pg_backend_pid() and application_name <> '{_HOLDER}'"
            )
        finally:
            await connection.close()

    async def start_much_later(self) -> None:
        connection = await asyncpg.connect(self.server.dsn)
        try:
            await connection.execute("update mdm_keys.intents set at = at - interval '1 day'")
        finally:
            await connection.close()
        await self.server.start()

    async def is_empty(self, *tables: str) -> bool:
        return not sum([await self.count(table) for table in tables])


@asynccontextmanager
async def hospital_with(**settings: str) -> AsyncIterator[Hospital]:
    settings = {"blobs__reserve_free": "0", "log__level": "error"} | settings
    with postgres_folder() as folder:
        async with serving(folder / "mdm", **settings) as server, aiohttp.ClientSession() as http:
            yield Hospital(server, Caller(http, server.url, server.admin_token), http)


@pytest.fixture
async def hospital() -> AsyncIterator[Hospital]:
    async with hospital_with() as made:
        yield made


@pytest.fixture
async def impatient() -> AsyncIterator[Hospital]:
    """Keys that somebody holds for longer than a moment are forgotten later."""
    async with hospital_with(database__lock_timeout="10") as made:
        yield made


async def cut(task: "asyncio.Task[Any]") -> None:
    """Whoever was served by the killed server sees that it is away."""
    with suppress(*AWAY):
        await task


async def test_killed_before_the_catalog_names_the_secrets(hospital: Hospital) -> None:
    async with hospital.holding("lock table images in share mode"):
        putting = asyncio.create_task(hospital.put())
        await until(lambda: hospital.count("mdm_keys.intents"))
        await hospital.kill()
    await cut(putting)
    assert await hospital.count("mdm_keys.intents") == 1
    await hospital.start_much_later()
    await until(lambda: hospital.is_empty("mdm_keys.intents", "mdm_keys.image_secrets", "images"))


async def test_killed_between_the_commit_and_the_confirmation(hospital: Hospital) -> None:
    async with hospital.holding("lock table images in share mode"):
        putting = asyncio.create_task(hospital.put())
        await until(lambda: hospital.count("mdm_keys.intents"))
        intent = hospital.holding("select from mdm_keys.intents for update")
        await intent.__aenter__()
    await until(lambda: hospital.count("images"))
    await hospital.kill()
    await intent.__aexit__(None, None, None)
    await cut(putting)
    assert await hospital.count("mdm_keys.intents") == 1
    await hospital.start_much_later()
    await until(lambda: hospital.is_empty("mdm_keys.intents"))
    assert await hospital.count("mdm_keys.image_secrets") == 2
    assert await hospital.count("images", "doomed is null") == 1


async def test_killed_before_the_keys_of_a_destroyed_image_are_forgotten(impatient: Hospital) -> None:
    await impatient.put()
    async with impatient.holding("select from mdm_keys.image_secrets for update"):
        await impatient.caller.srm("rm", surls=["/a.dcm"])
        await until(lambda: impatient.count("keys_to_forget", "taken_by is not null"))
        await impatient.kill()
    assert await impatient.count("images") == 0
    assert await impatient.count("mdm_keys.image_secrets") == 2
    await impatient.start_much_later()
    await until(lambda: impatient.is_empty("keys_to_forget", "mdm_keys.image_secrets"))


async def test_killed_after_the_keys_are_forgotten_and_before_that_is_noted(impatient: Hospital) -> None:
    await impatient.put()
    async with impatient.holding("select from mdm_keys.image_secrets for update"):
        await impatient.caller.srm("rm", surls=["/a.dcm"])
        await until(lambda: impatient.count("keys_to_forget", "taken_by is not null"))
        note = impatient.holding("select from keys_to_forget for update")
        await note.__aenter__()
    await until(lambda: impatient.is_empty("mdm_keys.image_secrets"))
    await impatient.kill()
    await note.__aexit__(None, None, None)
    await impatient.start_much_later()
    await until(lambda: impatient.is_empty("keys_to_forget"))
