"""`mdm status` tells how a server stands."""

import pytest

from tests.cli.conftest import Run
from tests.conftest import Server


async def test_status_tells_node_version_schema_space_transfers_and_queues(mdm: Run) -> None:
    ended = await mdm("status")
    assert ended.code == 0
    for word in ("schema: catalog", "space for", "sending 0, receiving 0", "views to make", "keys to forget"):
        assert word in ended.text
    (held,) = [line for line in ended.text.splitlines() if "limits.held" in line]
    assert held.split()[1:] == ["0", "B", "1.0", "GiB", "0%"]
    told = (await mdm("status", "--json")).json
    assert told["node"]
    assert told["schema"]["mdm_async.catalog"] >= 9
    assert [one["name"] for one in told["queues"]] == [
        "directories to check",
        "views to make",
        "images to index",
        "images to stage",
        "trees to remove",
        "cohorts to remove",
        "images to destroy",
        "superseded keys",
        "keys to forget",
        "sets of attributes to check",
        "blobs to delete",
        "values to forget",
        "shreds to finish",
        "reports to send",
    ]


async def test_status_says_that_a_disk_is_full(
    server: Server, mdm: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def look() -> None:
        pass

    monkeypatch.setattr(server.house.disks, "look", look)
    monkeypatch.setattr(server.house.disks, "full", {"blobs": "disk full (blobs): 1 MiB are free"})
    ended = await mdm("status")
    assert "disk full (blobs)" in ended.text
    assert (await mdm("status", "--json")).json["full"] == ["disk full (blobs): 1 MiB are free"]
    assert "blobs.reserve_free" in ended.text
