"""Out of its hours an archive is asked for nothing: requests wait, and are told for how long about."""

from datetime import datetime, timedelta

import pytest

from mdm_async.hours import Hours
from mdm_async.pacs.sources import staging as bringing
from tests.conftest import Server
from tests.pacs.sources.fake_archive import FakeArchive
from tests.pacs.sources.test_staging import DIRECTORY, ended, registered
from tests.web.made_images import made


def two_hours_from_now() -> Hours:
    begin = datetime.now() + timedelta(hours=2)
    return Hours.parse(f"{begin:%H:%M}-{begin + timedelta(hours=1):%H:%M}")


async def test_out_of_its_hours_an_archive_is_asked_for_nothing_and_whoever_waits_is_told_how_long(
    archive: FakeArchive, staging: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bringing, "_CLOCK", 0.05)
    archive.add(made(seed=1))
    (path,) = await registered(staging)
    line = staging.house.archives.named("hospital").line
    line.hours = two_hours_from_now()
    archive.asked.clear()
    tree = await staging.srm("prepareToGet", files=[{"surl": path}])
    assert tree["returnStatus"]["statusCode"] == "SRM_REQUEST_QUEUED"
    assert 6000 < tree["files"][0]["estimatedWaitTime"] < 7300
    (one,) = (await staging.srm("statusOfGetRequest", requestToken=tree["requestToken"]))["files"]
    assert one["status"]["explanation"] == f"its archive may be asked {line.hours} only"
    for verb, body in (("register", {"path": DIRECTORY}), ("count", {})):
        reply = await staging.call(
            "POST", f"/admin/v1/archives/hospital/{verb}", token=staging.admin_token, json=body
        )
        assert reply.status == 503
        assert str(line.hours) in reply.tree["detail"]
    assert not archive.asked
    (told,) = (await staging.call("GET", "/admin/v1/archives", token=staging.admin_token)).tree["archives"]
    assert told["hours"] == str(line.hours)
    assert 6000 < told["opensInSeconds"] < 7300
    assert told["waiting"] == 1
    line.hours = None
    (one,) = await ended(staging, tree["requestToken"])
    assert one["status"]["statusCode"] == "SRM_FILE_PINNED"
