"""kill -9 while the views of a new profile are made in bulk: the work goes on, and nothing is left behind."""

import asyncio
import io
from contextlib import suppress

import aiohttp
from pydicom import dcmread

from tests.faults.conditions import blob_files
from tests.faults.serving import AWAY, Caller, serving
from tests.patience import PATIENCE
from tests.postgres.for_tests import postgres_folder
from tests.web.made_images import made

IMAGES, KILLS = 24, 5
BLANKING = """
name = "blank"
[[pixels]]
when = { Modality = "CT" }
blank = [[0, 0, 1, 1]]
"""


async def test_bulk_work_is_finished_after_kills() -> None:
    settings = {
        "blobs__lease_seconds": "2",
        "blobs__inline_max": "4096",
        "blobs__reserve_free": "0",
        "log__level": "error",
    }
    with postgres_folder() as folder:
        async with (
            serving(folder / "mdm", **settings) as server,
            aiohttp.ClientSession(connector=aiohttp.TCPConnector(force_close=True)) as http,
        ):
            caller = Caller(http, server.url, server.admin_token)
            originals = {f"/{n}.dcm": made(pixels=300_000, seed=n) for n in range(IMAGES)}
            for surl, data in originals.items():
                prepared = await caller.srm("prepareToPut", files=[{"surl": surl}])
                async with http.put(prepared["files"][0]["transferURL"], data=io.BytesIO(data)) as answer:
                    assert answer.status == 201
                await caller.srm("putDone", requestToken=prepared["requestToken"], surls=[surl])
            assert (await caller.post("/admin/v1/profiles", toml=BLANKING))["name"] == "blank"
            await caller.post("/admin/v1/profiles/blank/apply", surl="/")
            for _ in range(KILLS):
                with suppress(*AWAY):
                    await _some_more_are_made(caller)
                await server.kill()
                await server.start()
            async with asyncio.timeout(90):
                while (await caller.post("/admin/v1/profiles/blank/progress"))["pending"]:  # noqa: ASYNC110
                    await asyncio.sleep(0.05)

            for surl, data in originals.items():
                pixels = dcmread(io.BytesIO(data)).PixelData
                view = dcmread(io.BytesIO(await caller.read(surl, "blank")))
                assert view.PixelData == bytes(2) + pixels[2:], surl
            # What the killed ones left half-written goes when its leases have lapsed.
            async with asyncio.timeout(PATIENCE):
                while (await caller.post("/admin/v1/fsck"))["findings"]:  # noqa: ASYNC110
                    await asyncio.sleep(0.2)
            # An original and a blanked variant of each, and heads are small enough to lie in the catalog.
            assert len(blob_files(server.data)) >= 2 * IMAGES


async def _some_more_are_made(caller: Caller) -> None:
    """Return once another view is there, or all are."""
    before = (await caller.post("/admin/v1/profiles/blank/progress"))["pending"]
    async with asyncio.timeout(PATIENCE):
        while before and (await caller.post("/admin/v1/profiles/blank/progress"))["pending"] >= before:  # noqa: ASYNC110
            await asyncio.sleep(0.002)
