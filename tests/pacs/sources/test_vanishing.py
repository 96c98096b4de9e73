"""What an archive has no more is marked when it is registered again, and comes back when the archive has it again."""

import io
from typing import Any

import pydicom
import pytest
from aiohttp import web
from pydicom.uid import generate_uid

from mdm_async import Client
from mdm_async.catalog.grants import evicting
from mdm_async.errors import MdmError
from mdm_async.images.names.path_template import pseudonym
from mdm_async.names import BASIC
from tests.conftest import Server
from tests.pacs.sources.conftest import DIRECTORY
from tests.pacs.sources.fake_archive import FakeArchive
from tests.pacs.sources.test_client import saying
from tests.pacs.sources.test_staging import ended, registered
from tests.web.made_images import made


async def again(server: Server, **wanted: Any) -> int:
    """How many are marked."""
    async with Client(server.url, server.admin_token) as client:
        pages = client.archives.register("hospital", DIRECTORY, template="{instance}.dcm", **wanted)
        return sum([page["vanished"] async for page in pages])


async def localities(server: Server, paths: list[str]) -> list[str]:
    return [one["fileLocality"] for one in (await server.srm("ls", surls=paths))["files"]]


def of_another_study(seed: int) -> bytes:
    image = pydicom.dcmread(io.BytesIO(made(seed=seed)))
    image.StudyInstanceUID = generate_uid()
    written = io.BytesIO()
    image.save_as(written, enforce_file_format=True)
    return written.getvalue()


@pytest.mark.parametrize("whole", [False, True])
async def test_what_vanished_is_marked_what_is_here_stays_and_both_come_back(
    archive: FakeArchive, staging: Server, whole: bool
) -> None:
    archive.add(made(seed=1))
    other = archive.add(of_another_study(0) if whole else made(seed=0)).StudyInstanceUID
    for seed in (2, 3):
        image = pydicom.dcmread(io.BytesIO(made(seed=seed)))
        image.StudyInstanceUID = other
        written = io.BytesIO()
        image.save_as(written, enforce_file_format=True)
        archive.add(written.getvalue())
    before = await registered(staging, study=None)
    kept = dict(archive.files)
    # What goes: all of the other study, or two of the only one.
    gone = [uid for uid, file in kept.items() if pydicom.dcmread(io.BytesIO(file)).StudyInstanceUID == other]
    # One of it is here by now.
    basic = staging.house.views.get(BASIC)
    assert basic is not None
    first = f"{DIRECTORY}/{pseudonym('instance', gone[0], basic.key)}.dcm"
    tree = await staging.srm("prepareToGet", files=[{"surl": first}])
    (line,) = await ended(staging, tree["requestToken"])
    for uid in gone if whole else gone[:2]:
        del archive.files[uid]
    assert await again(staging) == (3 if whole else 2)
    assert await again(staging) == 0
    at = await localities(staging, before)
    async with Client(staging.url, staging.admin_token) as client:
        told = await client.audit.last(50, act="vanished")
        marked = [path async for path in client.archives.files("hospital", gone=True)]
    gone_now = {path for path, where in zip(before, at, strict=True) if where in ("UNAVAILABLE", "ONLINE")}
    assert (set(marked), len(marked)) == (gone_now, 3 if whole else 2)
    assert len(told) == (3 if whole else 2)
    assert {one["details"]["archive"] for one in told} == {"hospital"}
    assert await staging.get(line["transferURL"])
    for path, where in zip(before, at, strict=True):
        for verb in ("prepareToGet", "bringOnline"):
            if where != "NEARLINE":
                (answer,) = (await staging.srm(verb, expect=None, files=[{"surl": path}]))["files"]
                code = answer["status"]["statusCode"]
                assert (code == "SRM_FILE_UNAVAILABLE") is (where == "UNAVAILABLE"), answer
                assert ("lists it no more" in answer["status"].get("explanation", "")) is (
                    where == "UNAVAILABLE"
                )
    async with staging.house.database.acquire() as db:
        rows = await db.fetch("select image from staged_images")
        (held,) = await evicting.of_images(db, ["hospital"], [row["image"] for row in rows])
        # Pinned by the one who reads it; and when that ends, it is the only copy.
        await db.execute("delete from grants")
        (only,) = await evicting.of_images(db, ["hospital"], [row["image"] for row in rows])
    assert (held.kept, only.kept, at[before.index(first)]) == ("pinned", "archive", "ONLINE")
    assert at.count("NEARLINE") + at.count("ONLINE_AND_NEARLINE") == len(archive.files)
    archive.files |= kept
    assert await again(staging) == 0
    async with Client(staging.url, staging.admin_token) as client:
        assert not [path async for path in client.archives.files("hospital", gone=True)]
    assert sorted(await localities(staging, before)) == ["NEARLINE"] * 3 + ["ONLINE_AND_NEARLINE"]


async def test_a_listing_that_fails_or_leaves_out_what_is_there_marks_nothing(
    archive: FakeArchive, staging: Server
) -> None:
    archive.add(made(seed=1))
    archive.add(of_another_study(2))
    paths = await registered(staging)

    async def forgetful(request: web.Request) -> web.StreamResponse:
        """It lists nothing, unless it is asked for it by its UID."""
        parts = request.path.strip("/").split("/")
        asked = request.query.keys() & {"StudyInstanceUID", "SOPInstanceUID"}
        told = archive._query(request, parts)
        return told if asked or "studies" not in parts[:-1] else web.json_response([])

    for told in (saying(b"["), saying(b"[]"), lambda _: failing()):
        archive.told = told
        with pytest.raises(MdmError):
            await again(staging)
        assert await localities(staging, paths) == ["NEARLINE", "NEARLINE"]
    archive.told = forgetful
    assert await again(staging) == 0
    assert await localities(staging, paths) == ["NEARLINE", "NEARLINE"]


async def failing() -> web.StreamResponse:
    return web.Response(status=500)


async def test_what_a_query_leaves_out_is_not_taken_for_vanished(
    archive: FakeArchive, staging: Server
) -> None:
    archive.add(made(seed=1))
    archive.add(of_another_study(2))
    paths = await registered(staging)
    archive.files.clear()
    archive.add(made(seed=1))
    assert await again(staging, query="Modality=CT") == 0
    assert await localities(staging, paths) == ["NEARLINE", "NEARLINE"]
