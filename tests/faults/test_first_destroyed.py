"""Both sites are killed in the middle, and then the first is destroyed: the second has every byte, and goes on."""

import asyncio
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import asyncpg

from tests.faults.conditions import until
from tests.faults.serving import PATIENT_SETTINGS, Caller, Serve
from tests.faults.two_sites import site
from tests.postgres.for_tests import PostgresForTests
from tests.web.made_images import made

_FILES = 12
_MIRROR = "site-b"


async def tell(http: aiohttp.ClientSession, server: Serve, verb: str, **body: Any) -> dict[str, Any]:
    """An administrator's call about mirrors."""
    method = "POST" if verb else "GET"
    headers = {"Authorization": f"Bearer {server.admin_token}"}
    url = f"{server.url}/admin/v1/mirrors{verb and f'/{_MIRROR}/{verb}'}"
    async with http.request(method, url, headers=headers, json=body if verb else None) as answer:
        assert answer.status < 300, await answer.text()
        told: dict[str, Any] = await answer.json(content_type=None)
        return told


async def put(http: aiohttp.ClientSession, caller: Caller, surl: str, data: bytes) -> None:
    prepared = await caller.srm("prepareToPut", files=[{"surl": surl}])
    async with http.put(prepared["files"][0]["transferURL"], data=data) as answer:
        assert answer.status == 201, await answer.text()
    done = await caller.srm("putDone", requestToken=prepared["requestToken"], surls=[surl])
    assert done["returnStatus"]["statusCode"] == "SRM_SUCCESS", done


async def guids(caller: Caller, surl: str) -> dict[str, str]:
    told = await caller.srm("ls", surls=[surl], numOfLevels=1)
    return {one["path"]: one["guid"] for one in told["files"][0].get("subPaths", ())}


async def drop(dsn: str) -> None:
    """Its tables, with all that is in them."""
    db = await asyncpg.connect(dsn)
    await db.execute("drop schema public cascade; drop schema mdm_keys cascade")
    await db.close()


@asynccontextmanager
async def both(folder: Path, dsns: list[str]) -> AsyncIterator[list[Serve]]:
    """Two servers, started side by side."""
    settings = PATIENT_SETTINGS | {"delivery__identified": "clear"}
    servers = [Serve(folder / str(n), database__dsn=dsn, **settings) for n, dsn in enumerate(dsns)]
    try:
        await asyncio.gather(*(server.start() for server in servers))
        yield servers
    finally:
        await asyncio.gather(*(server.kill() for server in servers))


async def test_a_first_that_is_killed_and_destroyed_is_stood_in_for_byte_for_byte(
    postgres: PostgresForTests, migrated: str, tmp_path: Path
) -> None:
    dsns = [await site(postgres, migrated) for _ in range(2)]
    async with aiohttp.ClientSession() as http, both(tmp_path, dsns) as (first, second):
        here, there = (Caller(http, one.url, one.admin_token) for one in (first, second))
        await here.srm("mkdir", surl="/vo")
        files = {f"/vo/{number}.dcm": made(seed=number) for number in range(_FILES)}
        for surl, data in files.items():
            await put(http, here, surl, data)
        accepted = await tell(http, second, "accept", path="/vo")
        added = {"path": "/vo", "url": second.url, "credential": accepted["credential"]}
        await tell(http, first, "add", **added)

        async def some_have_come() -> bool:
            return len(await guids(there, "/vo")) > 2

        await until(some_have_come)
        await asyncio.gather(second.kill(), first.kill())
        await asyncio.gather(second.start(), first.start())

        async def nothing_waits() -> bool:
            (mirror,) = (await tell(http, first, ""))["mirrors"]
            return bool(mirror["lag"]["waiting"] == 0)

        await until(nothing_waits)
        names = await guids(here, "/vo")

        await first.kill()
        shutil.rmtree(first.data)
        await drop(dsns[0])
        assert (await tell(http, second, "promote"))["state"] == "promoted"
        assert await guids(there, "/vo") == names
        reader = Caller(http, second.url, await reading(http, second))
        for surl, data in files.items():
            assert await reader.read(surl, "identified") == data
        await put(http, there, "/vo/after.dcm", made(seed=99))


async def reading(http: aiohttp.ClientSession, server: Serve) -> str:
    """A token for originals."""
    headers = {"Authorization": f"Bearer {server.admin_token}"}
    asked = {"name": "reader", "rights": "rilx", "views": ["identified"]}
    async with http.post(f"{server.url}/admin/v1/tokens", json=asked, headers=headers) as answer:
        return str((await answer.json())["token"])
