"""A store that gives chunks only stands where the local directory does, and its users see no difference."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from mdm_async import app
from tests.blobs.memory import MemoryBlobs
from tests.conftest import Server, running_server
from tests.postgres.for_tests import PostgresForTests
from tests.web.made_images import made
from tests.web.sealed_lines import PRIVATE, RECIPIENT, unsealed
from tests.web.test_rekeyed import nobody_reads_any_more, rekeyed

LARGE = made(pixels=2_400_000, head=400_000)


@pytest.fixture
async def remote(
    postgres: PostgresForTests, migrated: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Server]:
    """A server whose blobs are in memory."""
    monkeypatch.setattr(app, "LocalBlobs", MemoryBlobs)
    dsn = await postgres.fresh_database(migrated)
    async with running_server(tmp_path / "data", dsn, delivery={"identified": "clear"}) as server:
        yield server
        assert not list((tmp_path / "data" / "blobs").glob("*"))


async def test_a_clear_view_and_its_ranges_are_served(remote: Server) -> None:
    await remote.put("/a.dcm", LARGE)
    assert len(remote.house.blobs.blobs) > 1
    token = await remote.token("ri", views=["identified"])
    url = (await remote.prepare("/@identified/a.dcm", token=token))["transferURL"]
    assert await remote.get(url) == LARGE
    assert await remote.get(url, Range="bytes=399000-2100000") == LARGE[399_000:2_100_001]
    several = await remote.call("GET", url, headers={"Range": "bytes=0-9,600000-1700000"})
    assert (several.status, LARGE[600_000:1_700_001] in several.body) == (206, True)


async def test_a_view_under_other_keys_is_the_same(remote: Server) -> None:
    await remote.put("/a.dcm", LARGE)
    token = await remote.token("ri", views=["identified"])
    url = (await remote.prepare("/@identified/a.dcm", token=token))["transferURL"]
    before = set(remote.house.blobs.blobs)
    assert (await rekeyed(remote, "/a.dcm"))["changed"]
    assert await remote.get(url, Range="bytes=399000-2100000") == LARGE[399_000:2_100_001]
    await nobody_reads_any_more(remote)
    assert before.isdisjoint(remote.house.blobs.blobs)
    assert len(remote.house.blobs.blobs) == len(before)
    assert await remote.get(url) == LARGE


async def test_a_sealed_view_and_its_ranges_are_served(remote: Server) -> None:
    await remote.put("/a.dcm", LARGE)
    token = await remote.token("ri", views=["identified"])
    line = await remote.prepare("/@identified/a.dcm", token=token, recipient=RECIPIENT)
    whole = await remote.get(line["transferURL"])
    assert len(whole) == line["fileSize"]
    assert unsealed(whole, PRIVATE) == LARGE
    assert await remote.get(line["transferURL"], Range="bytes=1000-2000000") == whole[1000:2_000_001]


async def test_a_blob_that_is_not_there_is_an_error_before_the_status(remote: Server) -> None:
    await remote.put("/a.dcm", LARGE)
    url = (await remote.prepare("/a.dcm"))["transferURL"]
    remote.house.blobs.blobs.clear()
    assert (await remote.call("GET", url)).status == 410
