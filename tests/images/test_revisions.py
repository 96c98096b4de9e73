"""Older revisions of the scrubber: served until they are made anew, unless a security revision came between."""

import pytest

from mdm_async.dicom.scrub import REVISION
from mdm_async.images import served
from mdm_async.images.backfill import backfill
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
    assert await backfill(own_server.archive) == 1
    async with own_server.archive.database.acquire() as db:
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
    assert await backfill(own_server.archive) == 1
    assert await own_server.read("/a.dcm")
