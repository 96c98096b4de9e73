"""Older revisions of the scrubber: served until they are made anew, unless a security revision came between."""

from pathlib import Path

import pydicom.data
import pytest

from mdm_async.dicom.pixels.description import PIXELS_REVISION
from mdm_async.dicom.pixels.inspector import Inspector
from mdm_async.dicom.scrub import REVISION
from mdm_async.images.intake import draft
from mdm_async.images.reading import served
from tests.backfilled import backfill
from tests.conftest import Server


async def test_an_older_head_is_served_until_it_is_made_anew(
    own_server: Server, ct: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    await own_server.put("/a.dcm", ct)
    line = await own_server.prepare("/a.dcm")
    monkeypatch.setattr(served, "REVISION", REVISION + 1)
    own_server.cool()
    assert await own_server.get(line["transferURL"])
    assert await own_server.read("/a.dcm")
    assert await backfill(own_server) == 1
    async with own_server.house.database.acquire() as db:
        assert await db.fetchval("select count(*) from views where name = 'basic'") == 1
        assert await db.fetchval("select count(*) from parts where kind = 'head'") == 2  # and the original's
    assert await own_server.read("/a.dcm")
    own_server.cool()
    async with own_server.http.get(line["transferURL"]) as older:
        assert older.status == 410


async def test_a_security_revision_stops_older_heads(
    own_server: Server, ct: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    await own_server.put("/a.dcm", ct)
    line = await own_server.prepare("/a.dcm")
    monkeypatch.setattr(served, "REVISION", REVISION + 1)
    monkeypatch.setattr(served, "SECURITY_FLOOR", REVISION + 1)
    own_server.cool()
    async with own_server.http.get(line["transferURL"]) as stopped:
        assert stopped.status in (409, 410)
    pending = await own_server.srm("prepareToGet", expect=409, files=[{"surl": "/a.dcm"}])
    assert pending["files"][0]["viewState"] == "pending"
    assert await backfill(own_server) == 1
    assert await own_server.read("/a.dcm")


async def test_a_stored_profile_that_cannot_be_read_any_more_stops_nothing_else(
    own_server: Server, ct: bytes
) -> None:
    async with own_server.house.database.acquire() as db:
        await db.execute(
            "insert into profiles (name, source, digest, added_by) values ('old', 'name = 7', 'x', 'somebody')"
        )
        await own_server.house.views.refresh(db, now=True)
    await own_server.put("/a.dcm", ct)
    assert await own_server.read("/a.dcm")
    refused = await own_server.srm("prepareToGet", expect=400, files=[{"surl": "/a.dcm"}], view="old")
    assert "no such view" in refused["files"][0]["status"]["explanation"]


async def test_pixels_that_an_older_revision_looked_at_are_looked_at_again(
    own_server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was taken in when comments were not known yet is cleaned once they are."""
    image = (Path(pydicom.data.__file__).parent / "test_files" / "JPEG2000.dcm").read_bytes()
    image = image.replace(b"1.2.840.10008.5.1.4.1.1.7\0", b"1.2.840.10008.5.1.4.1.1.2\0")
    image = image.replace(b"CS\4\0WSD ", b"CS\4\0    ")
    assert b"Kakadu" in image
    with monkeypatch.context() as older:
        older.setattr(Inspector, "findings", lambda inspector: ())
        older.setattr(draft, "PIXELS_REVISION", PIXELS_REVISION - 1)
        await own_server.put("/a.dcm", image)
    assert b"Kakadu" in await own_server.read("/a.dcm")
    monkeypatch.setattr(served, "REVISION", REVISION + 1)
    monkeypatch.setattr(served, "SECURITY_FLOOR", REVISION + 1)
    assert await backfill(own_server) == 1
    assert b"Kakadu" not in await own_server.read("/a.dcm")
