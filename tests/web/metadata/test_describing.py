"""What is known of an entry: what the view says that one may read, and what users say."""

from typing import Any

import pydicom
import pytest

from tests.backfilled import settled
from tests.conftest import Server
from tests.web.metadata.conftest import Meta


async def told(meta: Meta, surl: str, token: str | None = None) -> dict[str, Any]:
    answer = await meta("get", token, surls=[surl])
    assert answer.status == 200, answer.body
    (file,) = answer.tree["files"]
    return dict(file)


@pytest.fixture
async def file(server: Server, meta: Meta, folder: str, ct: bytes) -> str:
    await server.put(f"{folder}/a.dcm", ct)
    await meta("schemas/create", surl=folder, name="mine", attributes=[{"name": "quality", "kind": "int"}])
    await meta("set", surls=[f"{folder}/a.dcm", folder], values={"mine.quality": 3})
    await settled(server)
    return f"{folder}/a.dcm"


async def test_both_are_told_together(server: Server, meta: Meta, file: str) -> None:
    found = await told(meta, file)
    assert (found["view"], found["own"]) == ("basic", {"mine": {"quality": 3}})
    assert found["values"]["Modality"] == ["CT"]
    served = await server.read(file)
    image = pydicom.dcmread(pydicom.filebase.DicomBytesIO(served))
    assert found["values"]["StudyInstanceUID"] == [image.StudyInstanceUID]
    assert found["values"]["PatientID"] == [image.PatientID]
    directory = await told(meta, file.rpartition("/")[0])
    assert (directory["view"], directory["values"], directory["own"]) == (None, {}, {"mine": {"quality": 3}})


async def test_who_may_not_read_the_view_is_told_what_users_say_alone(
    server: Server, meta: Meta, file: str
) -> None:
    token = await server.token("xlg", file.rpartition("/")[0])
    found = await told(meta, file, token)
    assert (found["view"], found["values"], found["own"]) == (None, {}, {"mine": {"quality": 3}})
    assert (await meta("get", token, surls=[f"/@basic{file}"])).status == 403


async def test_what_the_original_says_takes_i_and_is_in_the_audit(
    server: Server, meta: Meta, file: str, ct: bytes
) -> None:
    folder = file.rpartition("/")[0]
    named = f"/@identified{file}"
    reads = await server.token("xlgr", folder, views=["*"])
    identifies = await server.token("xlgri", folder, views=["*", "identified"])
    assert (await meta("get", reads, surls=[named])).status == 403
    original = pydicom.dcmread(pydicom.filebase.DicomBytesIO(ct))
    found = await told(meta, named, identifies)
    assert found["view"] == "identified"
    assert found["values"]["PatientID"] == [original.PatientID]
    assert found["values"]["PatientID"] != (await told(meta, file, identifies))["values"]["PatientID"]
    async with server.house.database.acquire() as db:
        rows = await db.fetch(
            "select view from audit where guid = $1 and act = 'read metadata'", found["guid"]
        )
    assert [row["view"] for row in rows] == ["identified"]


async def test_a_collection_that_goes_under_a_running_query_ends_it(
    server: Server, meta: Meta, file: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from mdm_async.catalog.metadata import matches
    from mdm_async.images.metadata import rows

    folder = file.rpartition("/")[0]
    page = matches.page

    async def gone_first(*given: Any) -> Any:
        await meta("schemas/drop", surl=folder, name="mine")
        return await page(*given)

    monkeypatch.setattr(matches, "page", gone_first)
    monkeypatch.setattr(rows, "_FEW", 0)
    answer = await meta("find", query="mine.quality >= 1", path=folder)
    assert (answer.status, answer.tree["detail"]) == (
        409, "an attribute of the query has just been removed",
    )  # fmt: skip
    unknown = await meta("find", query="mine.quality >= 1", path=folder)
    assert (unknown.status, "there is no such attribute" in unknown.tree["detail"]) == (400, True)
