"""kill -9, or a plain end, while a file comes from an archive: whoever waits has it once the server is there again."""

import asyncio
from pathlib import Path
from typing import Any

import aiohttp
import orjson
import pytest
from aiohttp import web

from tests.faults.serving import Caller, serving
from tests.pacs.sources.fake_archive import fake_archive
from tests.patience import PATIENCE
from tests.postgres.for_tests import postgres_folder
from tests.web.made_images import made


@pytest.mark.parametrize("how", ["killed", "stopped"])
async def test_a_file_that_was_coming_when_the_server_ended_comes_after_all(how: str) -> None:
    file = made(seed=1, pixels=2_000_000)
    coming = asyncio.Event()

    async def half(request: web.Request) -> web.StreamResponse:
        answer = web.StreamResponse(headers={"Content-Type": "application/dicom"})
        await answer.prepare(request)
        await answer.write(file[:1_500_000])
        coming.set()
        await asyncio.Event().wait()
        return answer

    async with fake_archive() as archive, aiohttp.ClientSession() as http:
        archive.add(file)
        sources = orjson.dumps([{"name": "hospital", "dicomweb": archive.url}]).decode()
        with postgres_folder() as folder:
            async with serving(Path(folder) / "data", pacs__sources=sources) as server:
                caller = Caller(http, server.url, server.admin_token)
                await caller.srm("mkdir", surl="/pacs")
                asked = {"path": "/pacs", "template": "{instance}.dcm"}
                url = f"{server.url}/admin/v1/archives/hospital/register"
                shown = {"Authorization": f"Bearer {server.admin_token}"}
                async with http.post(url, json=asked, headers=shown) as page:
                    assert (await page.json())["registered"] == 1
                (listed,) = (await caller.srm("ls", surls=["/pacs"]))["files"]
                path = listed["subPaths"][0]["path"]
                archive.instead = half
                tree = await caller.srm("prepareToGet", files=[{"surl": path}])
                await coming.wait()
                if how == "killed":
                    await server.kill()
                else:
                    async with asyncio.timeout(PATIENCE):
                        assert await server.stop() == 0
                archive.instead = None
                await server.start()
                line = await _pinned(caller, tree["requestToken"])
                async with http.get(line["transferURL"]) as answer:
                    assert answer.status == 200
                    assert await answer.read()


async def _pinned(caller: Caller, request: str) -> dict[str, Any]:
    async with asyncio.timeout(PATIENCE):
        while True:
            tree = await caller.srm("statusOfGetRequest", requestToken=request)
            (line,) = tree["files"]
            if line["status"]["statusCode"] == "SRM_FILE_PINNED":
                found: dict[str, Any] = line
                return found
            assert line["status"]["statusCode"] in ("SRM_REQUEST_QUEUED", "SRM_REQUEST_INPROGRESS"), line
            await asyncio.sleep(0.05)
