"""kill -9 while images of an archive come, go for others, and come again: none is lost, and nothing stays behind."""

import asyncio
from contextlib import suppress
from pathlib import Path
from typing import Any

import aiohttp
import orjson

from tests.faults.conditions import until
from tests.faults.serving import AWAY, Caller, serving
from tests.pacs.sources.fake_archive import fake_archive
from tests.postgres.for_tests import postgres_folder
from tests.web.made_images import made

IMAGES, PIXELS = 6, 150_000
KILLED_AFTER = (3, 10)
"""Files that were read."""


async def test_a_server_that_is_killed_while_images_are_evicted_loses_and_keeps_nothing() -> None:
    async with fake_archive() as archive, aiohttp.ClientSession() as http:
        for seed in range(IMAGES):
            archive.add(made(seed=seed, pixels=PIXELS))
        sources = orjson.dumps([{"name": "hospital", "dicomweb": archive.url}]).decode()
        with postgres_folder() as folder:
            own = {"pacs__sources": sources, "cache__quota": str(5 * PIXELS // 2)}
            async with serving(Path(folder) / "data", **own) as server:
                caller = Caller(http, server.url, server.admin_token)

                async def operate(method: str, what: str, **body: Any) -> dict[str, Any]:
                    shown = {"Authorization": f"Bearer {server.admin_token}"}
                    sent = {"json": body} if method == "POST" else {}
                    async with http.request(
                        method, f"{server.url}/admin/v1/{what}", headers=shown, **sent
                    ) as reply:
                        assert reply.status == 200, await reply.text()
                        told: dict[str, Any] = await reply.json()
                        return told

                await caller.srm("mkdir", surl="/pacs")
                asked = {"path": "/pacs", "template": "{instance}.dcm"}
                await operate("POST", "archives/hospital/register", **asked)
                (listed,) = (await caller.srm("ls", surls=["/pacs"]))["files"]
                paths = [child["path"] for child in listed["subPaths"]]
                files = {path: await _read(caller, http, path) for path in paths}
                read: list[str] = []

                async def work(first: int) -> None:
                    for at in range(100):
                        path = paths[(first + at) % IMAGES]
                        with suppress(*AWAY):
                            assert await _read(caller, http, path) == files[path]
                            read.append(path)

                for count in KILLED_AFTER:
                    read.clear()
                    workers = [asyncio.create_task(work(first)) for first in range(2)]

                    async def are_read(count: int = count) -> bool:
                        return len(read) >= count

                    await until(are_read)
                    await server.kill()
                    for one in workers:
                        one.cancel()
                    await asyncio.gather(*workers, return_exceptions=True)
                    await server.start()
                    # Those whose releases were cut off are pinned, and fill the cache, until they are released.
                    await caller.srm("releaseFiles", surls=paths)
                for path, file in files.items():
                    assert await _read(caller, http, path) == file

                async def is_empty() -> bool:
                    await operate("POST", "cache/room")
                    told = await operate("GET", "cache")
                    return not (told["used"] or told["inFlight"] or told["images"])

                await until(is_empty)
                await operate("POST", "fsck", repair=True)
                assert await operate("POST", "fsck") == {"findings": [], "blobs": 0, "bytes": 0, "more": 0}


async def _read(caller: Caller, http: aiohttp.ClientSession, path: str) -> bytes:
    """Prepared, read, released."""
    tree = await caller.srm("prepareToGet", files=[{"surl": path}])
    (line,) = tree["files"]
    async with asyncio.timeout(120):
        while line["status"]["statusCode"] != "SRM_FILE_PINNED":
            assert line["status"]["statusCode"] in ("SRM_REQUEST_QUEUED", "SRM_REQUEST_INPROGRESS"), line
            await asyncio.sleep(0.02)
            (line,) = (await caller.srm("statusOfGetRequest", requestToken=tree["requestToken"]))["files"]
    async with http.get(line["transferURL"]) as answer:
        assert answer.status == 200
        file = await answer.read()
    await caller.srm("releaseFiles", requestToken=tree["requestToken"])
    return file
