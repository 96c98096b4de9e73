"""Heads larger than may be scrubbed: stored and read as they are, refused de-identified."""

import io
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from pydicom import dcmread

from tests.conftest import Server, running_server
from tests.postgres.for_tests import PostgresForTests
from tests.web.made_images import made

MAX_HEAD = 65_536


@pytest.fixture
async def server(postgres: PostgresForTests, migrated: str, tmp_path: Path) -> AsyncIterator[Server]:
    dsn = await postgres.fresh_database(migrated)
    sections = {"scrub": {"max_head": MAX_HEAD}, "delivery": {"identified": "clear"}}
    async with running_server(tmp_path / "data", dsn, **sections) as running:
        yield running


def large(group: int) -> bytes:
    """A file with a private element larger than may be kept."""
    image = dcmread(io.BytesIO(made()))
    image.add_new(group << 16 | 0x0010, "LO", "LARGE")
    image.add_new(group << 16 | 0x1001, "OB", bytes(3 * MAX_HEAD))
    written = io.BytesIO()
    image.save_as(written)
    return written.getvalue()


async def test_it_is_stored_and_refused_de_identified(server: Server) -> None:
    data = large(0x0019)
    await server.put("/a.dcm", data)
    refused = await server.srm("prepareToGet", expect=409, files=[{"surl": "/a.dcm"}])
    assert "scrub.max_head" in refused["files"][0]["status"]["explanation"]
    token = await server.token("ri")
    assert await server.read("/a.dcm", token=token, view="identified") == data


async def test_a_name_that_cannot_be_checked_is_refused_with_the_reason(server: Server) -> None:
    prepared = await server.srm("prepareToPut", files=[{"surl": "/a.dcm"}])
    url = prepared["files"][0]["transferURL"]
    async with server.http.put(url, data=io.BytesIO(large(0x0009))) as answer:
        assert answer.status == 413
        assert "scrub.max_head" in (await answer.json())["remedy"]


async def test_a_head_without_room_in_memory_is_refused_at_once_and_gives_back_what_it_held(
    postgres: PostgresForTests, migrated: str, tmp_path: Path
) -> None:
    dsn = await postgres.fresh_database(migrated)
    async with running_server(tmp_path / "other", dsn) as server:
        server.house.budget.shares.most = 1 << 20  # as when others hold the rest
        image = dcmread(io.BytesIO(made()))
        image.add_new(0x0019_0010, "LO", "LARGE")
        image.add_new(0x0019_1001, "OB", bytes(1 << 20))
        written = io.BytesIO()
        image.save_as(written)
        prepared = await server.srm("prepareToPut", files=[{"surl": "/a.dcm"}])
        url = prepared["files"][0]["transferURL"]
        async with server.http.put(url, data=io.BytesIO(written.getvalue())) as answer:
            assert answer.status == 429
            assert answer.headers["Retry-After"]
        assert [near.used for near in server.house.budget.near()] == [0]
        await server.put("/b.dcm", made())
