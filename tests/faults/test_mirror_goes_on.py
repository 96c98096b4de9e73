"""What a mirror cannot take keeps nothing else from it, and is named; what is to be sent does not grow without end."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from mdm_async.images.reading import stream
from tests.conftest import Server
from tests.faults.conditions import blob_files, until
from tests.faults.test_mirror import apply, directories, guid, profile, refused
from tests.faults.two_sites import Sites, admin, mirrored, readable, same_at_both, two_sites
from tests.postgres.for_tests import PostgresForTests
from tests.web.made_images import made


@pytest.fixture(scope="module")
async def sites(
    postgres: PostgresForTests, migrated: str, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Sites]:
    async with two_sites(postgres, migrated, tmp_path_factory.mktemp("sites")) as sites:
        yield sites


async def waiting(server: Server, mirror: str) -> list[dict[str, Any]]:
    async with server.house.database.acquire() as db:
        rows = await db.fetch("select * from mirror_changes where mirror = $1 order by id", mirror)
    return [dict(row.items()) for row in rows]


async def test_a_profile_that_the_second_has_otherwise_holds_back_only_what_needs_it(sites: Sites) -> None:
    first, second = sites.first, sites.second
    await profile(second, 'name = "heart"\nproject = "theirs"\n')
    await profile(first, 'name = "heart"\nproject = "ours"\n')
    await directories(first, "/held", "/held/heart", "/held/heart/a", "/held/other")
    await apply(first, "heart", "/held/heart")
    await first.put("/held/heart/a/one.dcm", made(seed=81))
    await mirrored(sites, "/held")
    await first.put("/held/other/two.dcm", made(seed=82))

    async def is_named() -> bool:
        return "another profile 'heart'" in str((await sites.status("held"))["refusedProfiles"].get("heart"))

    await until(is_named)
    assert (await sites.status("held"))["failure"] is None
    await same_at_both(sites, "/held/other/two.dcm", "basic")
    assert await readable(second, "/held/heart/a/one.dcm", "basic") is None

    async with second.house.database.acquire() as db:
        await db.execute("delete from profiles where name = 'heart'")
    async with first.house.database.acquire() as db:  # Not a minute later.
        await db.execute("update mirror_changes set due = now() where kind = 'profile'")
    await sites.caught_up("held")
    await same_at_both(sites, "/held/heart/a/one.dcm", "heart")
    assert (await sites.status("held"))["refusedProfiles"] == {}


async def test_a_file_that_is_damaged_at_the_first_keeps_no_other(sites: Sites) -> None:
    first = sites.first
    await directories(first, "/rot")
    before = set(blob_files(first.data))
    await first.put("/rot/bad.dcm", made(pixels=1 << 20, seed=83))
    (blob,) = set(blob_files(first.data)) - before
    content = bytearray(blob.read_bytes())
    content[len(content) // 2] ^= 1
    blob.write_bytes(content)
    await first.put("/rot/good.dcm", made(seed=84))
    await mirrored(sites, "/rot")
    await same_at_both(sites, "/rot/good.dcm", "identified")

    async def is_put_off() -> bool:
        return [one["failure"] for one in await waiting(first, "rot")] == ["Damaged"]

    await until(is_put_off)
    assert (await sites.status("rot"))["lag"]["failed"] == 1
    await first.srm("rm", surls=["/rot/bad.dcm"])
    await sites.caught_up("rot")


async def test_what_changes_a_hundred_times_waits_once(sites: Sites, monkeypatch: pytest.MonkeyPatch) -> None:
    first = sites.first
    await directories(first, "/often", "/often/a")
    await mirrored(sites, "/often")
    await sites.caught_up("often")
    async with first.house.database.transaction() as db:
        await db.execute("lock table mirror_changes in share mode")  # Nothing is sent.
        for number in range(100):
            await db.execute("update entries set default_view = $1 where name = 'a'", f"view{number}")
        (one,) = await db.fetch("select * from mirror_changes where mirror = 'often'")
    assert one["version"] == 99
    await sites.caught_up("often")


async def test_what_is_mirrored_stays_where_it_is(sites: Sites) -> None:
    first = sites.first
    await directories(first, "/above", "/above/here", "/above/here/in", "/above/beside")
    accepted = await admin(sites.second, "POST", "/here/accept", 201, path="/above/here")
    to = {"path": "/above/here", "url": sites.second.url, "credential": accepted["credential"]}
    await admin(first, "POST", "/here/add", 201, **to)
    await sites.caught_up("here")
    for surl in ("/above", "/above/here"):
        assert "mdm mirror stop here" in await refused(first, "mv", surl)
    await first.srm("mv", fromSURL="/above/here/in", toSURL="/above/here/inside")
    await first.srm("mv", fromSURL="/above/beside", toSURL="/above/besides")
    tree = await first.srm("rmdir", expect=None, surl="/above", recursive=True)
    assert "mdm mirror stop here" in str(tree)
    await sites.caught_up("here")
    assert await guid(first, "/above/here/inside") == await guid(sites.second, "/above/here/inside")
    await admin(first, "POST", "/here/stop", 204)
    await first.srm("mv", fromSURL="/above", toSURL="/elsewhere")


async def test_a_promotion_is_heard_while_a_file_is_sent(
    sites: Sites, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = sites.first, sites.second
    await directories(first, "/long")
    await first.put("/long/one.dcm", made(seed=87))
    sending, clear = asyncio.Event(), stream.clear

    async def endless(*asked: Any) -> AsyncIterator[memoryview]:
        async for piece in clear(*asked):
            sending.set()
            await asyncio.Event().wait()
            yield piece

    with monkeypatch.context() as slow:
        slow.setattr(stream, "clear", endless)
        await mirrored(sites, "/long")
        await sending.wait()
        await admin(second, "POST", "/long/promote")

        async def is_fenced() -> bool:
            return bool((await sites.status("long"))["state"] == "fenced")

        await until(is_fenced)


async def test_a_second_that_was_set_back_is_told(sites: Sites) -> None:
    await directories(sites.first, "/set-back")
    await mirrored(sites, "/set-back")
    await sites.caught_up("set-back")

    async def is_heard() -> bool:
        async with sites.first.house.database.acquire() as db:
            return bool(await db.fetchval("select said > 0 from mirrors where name = 'set-back'"))

    await until(is_heard)
    async with sites.second.house.database.acquire() as db:
        await db.execute("update followed set said = 0 where name = 'set-back'")

    async def is_told() -> bool:
        return "set back" in str((await sites.status("set-back"))["failure"])

    await until(is_told)


async def test_a_second_that_was_promoted_becomes_the_first_of_the_one_it_followed(sites: Sites) -> None:
    first, second = sites.first, sites.second
    await directories(first, "/back", "/back/a")
    await first.put("/back/a/one.dcm", made(seed=85))
    await mirrored(sites, "/back")
    await sites.caught_up("back")
    await admin(second, "POST", "/back/promote")

    async def is_fenced() -> bool:
        return bool((await sites.status("back"))["state"] == "fenced")

    await until(is_fenced)
    await second.put("/back/a/two.dcm", made(seed=86))
    await admin(first, "POST", "/back/stop", 204, diverge=True)
    await first.srm("rmdir", surl="/back", recursive=True)
    around = Sites(second, first)
    accepted = await admin(first, "POST", "/again/accept", 201, path="/back")
    to = {"path": "/back", "url": first.url, "credential": accepted["credential"]}
    await admin(second, "POST", "/again/add", 201, **to)
    await around.caught_up("again")
    for surl in ("/back/a/one.dcm", "/back/a/two.dcm"):
        await same_at_both(around, surl, "identified")
        await same_at_both(around, surl, "basic")
        assert await guid(first, surl) == await guid(second, surl)
