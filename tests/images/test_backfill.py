"""Views that are missing are pending, and made from the stored original."""

from pathlib import Path

import pydicom.data
import pytest

from tests.backfilled import backfill
from tests.conftest import Server

FILES = Path(pydicom.data.__file__).parent / "test_files"


@pytest.mark.parametrize(
    "name", ["CT_small.dcm", "image_dfl.dcm", "MR_small_RLE.dcm", "examples_palette.dcm", "rtplan.dcm"]
)
async def test_a_missing_view_is_pending_until_it_is_made_again(own_server: Server, name: str) -> None:
    await own_server.put("/a.dcm", (FILES / name).read_bytes())
    before = await own_server.srm("prepareToGet", expect=None, files=[{"surl": "/a.dcm"}])
    served = "transferURL" in before["files"][0]
    first = await own_server.read("/a.dcm") if served else before["files"][0]["status"]
    async with own_server.house.database.acquire() as db:
        await db.execute("delete from views where name = 'basic'")

    pending = await own_server.srm("prepareToGet", expect=409, files=[{"surl": "/a.dcm"}])
    assert "has not been made" in pending["files"][0]["status"]["explanation"]
    assert pending["files"][0]["viewState"] == "pending"
    # Not to who has sent it: they know its size.
    listed = await own_server.srm("ls", token=await own_server.token("l"), surls=["/a.dcm"])
    assert listed["files"][0]["viewState"] == "pending"
    assert "size" not in listed["files"][0]

    assert await backfill(own_server) == 1
    if served:
        assert await own_server.read("/a.dcm") == first
    else:
        after = await own_server.srm("prepareToGet", expect=409, files=[{"surl": "/a.dcm"}])
        assert after["files"][0]["status"] == first
    assert await backfill(own_server) == 0
