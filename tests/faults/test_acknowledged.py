"""kill -9 of Postgres right after an answer: what takes something from somebody is not undone by it."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import aiohttp
import pytest

from mdm_async.postgres.database import connect
from tests.faults.conditions import until
from tests.faults.serving import AWAY, Caller, Serve, serving
from tests.postgres.for_tests import postgres_folder

RELEASES = 20


@dataclass
class Fragile:
    """A server with a Postgres of its own, and its administrator."""

    server: Serve
    http: aiohttp.ClientSession
    caller: Caller

    async def prepare(self, surl: str) -> dict[str, Any]:
        tree = await self.caller.srm("prepareToGet", files=[{"surl": surl}])
        return {"token": tree["requestToken"], "url": tree["files"][0]["transferURL"]}

    async def status(self, url: str) -> int:
        async with self.http.get(url) as answer:
            await answer.read()
            return answer.status

    async def revoke(self, name: str) -> None:
        headers = {"Authorization": f"Bearer {self.server.admin_token}"}
        async with self.http.delete(f"{self.server.url}/admin/v1/tokens/{name}", headers=headers) as answer:
            assert answer.status in (200, 204)

    async def settled(self) -> None:
        """What was written so far is on the disk: what is lost afterwards is what came afterwards."""
        async with connect(self.server.dsn) as db:
            await db.execute("select pg_logical_emit_message(true, 'test', '')")

    async def kill_postgres(self) -> None:
        """And wait until it has come back."""
        killed = self.server.postmaster
        self.server.kill_postgres()

        async def back() -> bool:
            try:
                async with self.http.get(f"{self.server.url}/health/ready") as answer:
                    return answer.status == 200 and self.server.postmaster != killed
            except (*AWAY, OSError):
                return False

        await until(back)


@pytest.fixture
async def fragile(ct: bytes) -> AsyncIterator[Fragile]:
    with postgres_folder() as folder:
        settings = {"blobs__reserve_free": "0", "log__level": "error"}
        async with serving(folder / "mdm", **settings) as server, aiohttp.ClientSession() as http:
            caller = Caller(http, server.url, server.admin_token)
            for name in ("a", "b", "c"):
                put = await caller.srm("prepareToPut", files=[{"surl": f"/{name}.dcm"}])
                async with http.put(put["files"][0]["transferURL"], data=ct) as answer:
                    assert answer.status == 201
                await caller.srm("putDone", requestToken=put["requestToken"], surls=[f"/{name}.dcm"])
            yield Fragile(server, http, caller)


async def test_a_release_that_was_acknowledged_survives_the_end_of_postgres(fragile: Fragile) -> None:
    """Nothing else is written meanwhile that would take it to the disk."""
    prepared = [await fragile.prepare("/a.dcm") for _ in range(RELEASES)]
    await fragile.settled()
    assert await fragile.status(prepared[0]["url"]) == 200
    await fragile.settled()
    answers = await asyncio.gather(
        *(fragile.caller.srm("releaseFiles", requestToken=one["token"]) for one in prepared)
    )
    await fragile.kill_postgres()
    assert {one["returnStatus"]["statusCode"] for one in answers} == {"SRM_SUCCESS"}
    assert [await fragile.status(one["url"]) for one in prepared] == [410] * RELEASES
    async with connect(fragile.server.dsn) as db:
        assert await db.fetchval("select count(*) from audit where act = 'release'") == RELEASES


async def test_whatever_takes_something_away_survives_the_end_of_postgres(fragile: Fragile) -> None:
    caller = fragile.caller
    by_name, aborted, removed = [await fragile.prepare(f"/{name}.dcm") for name in ("b", "a", "c")]
    await caller.post("/admin/v1/tokens", name="gone", rights="r")
    await fragile.settled()
    answers = await asyncio.gather(
        caller.srm("releaseFiles", surls=["/b.dcm"]),
        caller.srm("abortRequest", requestToken=aborted["token"]),
        caller.srm("rm", surls=["/c.dcm"]),
        caller.srm(
            "setPermission",
            surls=["/a.dcm"],
            permissionType="ADD",
            rules=[{"principal": "user:x", "rights": "r"}],
        ),
        caller.srm("bringOnline", files=[{"surl": "/a.dcm"}]),
        fragile.revoke("gone"),
    )
    await fragile.kill_postgres()
    assert {one["returnStatus"]["statusCode"] for one in answers[:-1]} == {"SRM_SUCCESS"}, answers
    assert [await fragile.status(one["url"]) for one in (by_name, aborted, removed)] == [410] * 3
    async with connect(fragile.server.dsn) as db:
        acts = {row["act"] for row in await db.fetch("select act from audit where outcome = 'success'")}
        brought = await db.fetchval("select count(*) from grants where operation = 'bring_online'")
        revoked = await db.fetchval("select revoked is not null from tokens where name = 'gone'")
    assert acts >= {"release", "abort", "rm", "set permission", "bring online", "token revoke"}
    assert brought == 1
    assert revoked
