"""At an archive that is asked for one thing at a time nobody waits for all that another has asked for."""

import asyncio

from aiohttp import web

from tests.conftest import Server
from tests.pacs.sources.fake_archive import FakeArchive, multipart
from tests.pacs.sources.test_staging import ended, failing, registered
from tests.web.made_images import made


async def test_with_one_association_a_single_image_comes_before_the_rest_of_thirty(
    archive: FakeArchive, staging: Server
) -> None:
    for seed in range(31):
        archive.add(made(seed=seed))
    staging.house.archives.named("hospital").line.at_once = 1
    archive.together = failing
    opened = asyncio.Semaphore(0)
    came: list[str] = []

    async def one_by_one(request: web.Request) -> web.StreamResponse:
        await opened.acquire()
        came.append(request.path.rpartition("/")[2])
        return await multipart(request, archive.files[came[-1]])

    archive.instead = one_by_one
    paths = await registered(staging)
    first, second = [await staging.token("rlx") for _ in range(2)]
    await staging.srm("prepareToGet", token=first, files=[{"surl": path} for path in paths[:30]])
    tree = await staging.srm("prepareToGet", token=second, files=[{"surl": paths[30]}])
    for _ in range(3):
        opened.release()
    (line,) = await ended(staging, tree["requestToken"], token=second)
    assert line["status"]["statusCode"] == "SRM_FILE_PINNED"
    assert len(came) <= 3
