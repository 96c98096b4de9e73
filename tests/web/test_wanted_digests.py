"""Digests that readers ask for: computed once, beside the loop, and kept sealed."""

import asyncio
import base64
import hashlib
import zlib
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from mdm_async.images.reading.digests import Digests
from mdm_async.images.reading.view import ReadyView
from tests.conftest import Server, running_server
from tests.faults.conditions import until
from tests.patience import PATIENCE
from tests.postgres.for_tests import PostgresForTests
from tests.web.made_images import made

DATA = made(pixels=2_500_000)


def b64(digest: bytes) -> str:
    return base64.b64encode(digest).decode()


@pytest.fixture
async def file(server: Server) -> str:
    """Written by somebody else than who reads it."""
    surl = f"{await server.directory()}/a.dcm"
    await server.put(surl, DATA, token=await server.token("rwl"))
    return surl


@pytest.fixture
def read(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Views that were read for their digests."""
    found: list[str] = []

    computed = Digests._computed

    async def noting(self: Digests, view: ReadyView, *arguments: Any) -> Any:
        found.append(view.view)
        return await computed(self, view, *arguments)

    monkeypatch.setattr(Digests, "_computed", noting)
    return found


async def _identified_url(server: Server, surl: str) -> str:
    token = await server.token("rli", views=["*", "identified"])
    directory = surl.rpartition("/")[0]
    await server.call(
        "PUT",
        "/admin/v1/delivery",
        token=server.admin_token,
        json={"surl": directory, "identified": "clear"},
    )
    return str((await server.prepare(surl, view="identified", token=token))["transferURL"])


@pytest.mark.parametrize("view", ["basic", "identified"])
async def test_each_is_that_of_the_bytes_that_are_served(server: Server, file: str, view: str) -> None:
    url = (
        await _identified_url(server, file)
        if view == "identified"
        else (await server.prepare(file))["transferURL"]
    )
    body = await server.get(url)
    assert (body == DATA) == (view == "identified")
    adler = f"adler32={zlib.adler32(body):08x}"
    md5, sha256 = b64(hashlib.md5(body).digest()), b64(hashlib.sha256(body).digest())
    for wanted, told in (
        ("ADLER32", adler),
        ("md5", f"{adler},md5={md5}"),
        ("SHA-256", f"{adler},sha-256={sha256}"),
        ("md5;q=0.3, sha-256;q=1", f"{adler},md5={md5},sha-256={sha256}"),
        ("UNIXsum, md5;q=0", adler),
    ):
        for method in ("HEAD", "GET"):
            got = await server.call(method, url, headers={"Want-Digest": wanted})
            assert (got.status, got.headers["Digest"]) == (200, told), wanted
            assert "Repr-Digest" not in got.headers
    got = await server.call("HEAD", url, headers={"Want-Repr-Digest": "sha-256=5, md5=2, sha-512=1, adler=1"})
    adler = b64(zlib.adler32(body).to_bytes(4, "big"))
    assert got.headers["Repr-Digest"] == f"adler=:{adler}:, md5=:{md5}:, sha-256=:{sha256}:"
    part = await server.call("GET", url, headers={"Want-Digest": "md5", "Range": "bytes=5-9"})
    assert (part.status, part.headers["Digest"].partition(",")[2]) == (206, f"md5={md5}")


async def test_it_is_computed_once_and_kept(server: Server, file: str, read: list[str]) -> None:
    for place in range(3):
        server.cool()
        url = (await server.prepare(file))["transferURL"]
        answers = await asyncio.gather(
            *[server.call("HEAD", url, headers={"Want-Digest": "md5"}) for _ in range(5)]
        )
        assert len({answer.headers["Digest"] for answer in answers}) == 1, place
    assert read == ["basic"]
    await server.call("HEAD", url, headers={"Want-Digest": "md5, sha-256"})
    await server.call("HEAD", url, headers={"Want-Digest": "sha-256"})
    assert read == ["basic", "basic"]


async def test_nothing_is_computed_that_nobody_asks_for(server: Server, file: str, read: list[str]) -> None:
    url = (await server.prepare(file))["transferURL"]
    etag = (await server.call("GET", url)).headers["ETag"]
    wanted = {"Want-Digest": "md5"}
    for headers, status in (
        ({"Want-Digest": "adler32, crc32c, md5;q=0.0"}, 200),
        (wanted | {"If-None-Match": etag}, 304),
        (wanted | {"If-Match": '"other"'}, 412),
        (wanted | {"Range": "bytes=99999999-"}, 416),
    ):
        assert (await server.call("GET", url, headers=headers)).status == status
    assert read == []


async def test_the_originals_are_kept_sealed_under_its_own_secret(server: Server, file: str) -> None:
    url = await _identified_url(server, file)
    got = await server.call("HEAD", url, headers={"Want-Digest": "md5"})
    md5 = hashlib.md5(DATA)
    assert f"md5={b64(md5.digest())}" in got.headers["Digest"]
    async with server.house.database.acquire() as db:
        rows = await db.fetch(
            "select * from views where image = (select image from entries where name = 'a.dcm'"
            " order by id desc limit 1)"
        )
    kept = {row["name"]: row for row in rows}
    assert kept["identified"]["secret"] == "identity"
    for row in rows:
        told = repr(tuple(row.values()))
        assert md5.hexdigest() not in told
        assert b64(md5.digest()) not in told


async def test_more_than_may_be_computed_at_once_are_refused_at_once(
    postgres: PostgresForTests, migrated: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    on = asyncio.Event()
    computed = Digests._computed

    async def waiting(self: Digests, *arguments: Any) -> Any:
        await on.wait()
        return await computed(self, *arguments)

    monkeypatch.setattr(Digests, "_computed", waiting)
    dsn = await postgres.fresh_database(migrated)
    async with running_server(tmp_path / "data", dsn, limits={"digests": 8}) as server:
        writer = await server.token("rwl")
        for name in "abcdef":
            await server.put(f"/{name}.dcm", made(pixels=1000), token=writer)
        urls = [(await server.prepare(f"/{name}.dcm"))["transferURL"] for name in "abcdef"]
        wanted = {"Want-Digest": "md5"}
        asked = [asyncio.create_task(server.call("HEAD", url, headers=wanted)) for url in urls]
        refused, _ = await asyncio.wait(asked, return_when=asyncio.FIRST_COMPLETED)
        first = refused.pop().result()
        assert (first.status, "Retry-After" in first.headers) == (429, True)
        other = await server.token("rl")
        line = await server.prepare("/f.dcm", token=other)
        beside = asyncio.create_task(server.call("HEAD", line["transferURL"], headers=wanted))
        on.set()
        assert (await beside).status == 200
        statuses = [(await one).status for one in asked]
        assert sorted(set(statuses)) == [200, 429]
        assert server.house.digests.asked.used == 0
        assert [(await server.call("HEAD", url, headers=wanted)).status for url in urls] == [200] * 6


async def test_whose_files_take_long_keeps_nobody_else_waiting(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    on, computed, at = asyncio.Event(), Digests._computed, await server.directory()
    quick: set[UUID] = set()

    async def waiting(self: Digests, view: ReadyView, *arguments: Any) -> Any:
        if view.image not in quick:
            await on.wait()
        return await computed(self, view, *arguments)

    monkeypatch.setattr(Digests, "_computed", waiting)
    writer, other = await server.token("rwl"), await server.token("rl")
    for name in "abc":
        await server.put(f"{at}/{name}.dcm", made(pixels=1000), token=writer)
    prepared = [
        await server.prepare(f"{at}/{name}.dcm", token=token)
        for name, token in zip("abc", (writer, writer, other), strict=True)
    ]
    async with server.house.database.acquire() as db:
        quick.add(
            await db.fetchval("select image from entries where name = 'c.dcm' order by id desc limit 1")
        )
    wanted = {"Want-Digest": "md5"}
    asked = [
        asyncio.create_task(server.call("HEAD", line["transferURL"], headers=wanted)) for line in prepared[:2]
    ]
    await until(lambda: server.house.digests.asked.used == 2)
    answer = await asyncio.wait_for(server.call("HEAD", prepared[2]["transferURL"], headers=wanted), PATIENCE)
    assert (answer.status, any(one.done() for one in asked)) == (200, False)
    on.set()
    assert [(await one).status for one in asked] == [200, 200]
