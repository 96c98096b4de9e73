"""What was brought from an archive stays while somebody needs it and there is room, and comes again, byte for byte."""

import asyncio
import io
import json
from collections.abc import AsyncIterator
from datetime import datetime
from pathlib import Path
from typing import Any
from uuid import UUID

import pydicom
import pytest

from mdm_async.catalog.holdings import staged
from mdm_async.catalog.work import images_to_stage
from mdm_async.dicom.sop_common import sop_common
from mdm_async.errors import CacheFull, CacheTooSmall
from mdm_async.images.studies.holding import Held, Instance, held
from mdm_async.images.transfers.cache import Cache
from mdm_async.names import Caller, Lfn, Scope, parse_rights
from mdm_async.pacs.sources import staging as bringing
from mdm_async.seldom import Seldom
from mdm_async.settings import CacheSettings
from tests.conftest import Server, running_server
from tests.faults.conditions import blob_files, until
from tests.pacs.sources.fake_archive import FakeArchive
from tests.pacs.sources.test_staging import DIRECTORY, ended, registered
from tests.postgres.for_tests import PostgresForTests
from tests.web.made_images import made
from tests.web.test_privacy import captured_log

PIXELS = 300_000


@pytest.fixture
async def caching(
    archive: FakeArchive, postgres: PostgresForTests, migrated: str, tmp_path: Path
) -> AsyncIterator[Server]:
    """A server whose archive has six images of one size, which are registered."""
    sections: dict[str, Any] = {
        "pacs": {"sources": [{"name": "hospital", "dicomweb": archive.url}]},
        "delivery": {"identified": "clear"},
    }
    for seed in range(6):
        archive.add(made(seed=seed, pixels=PIXELS))
    dsn = await postgres.fresh_database(migrated)
    async with running_server(tmp_path / "data", dsn, **sections) as server:
        await server.srm("mkdir", surl=DIRECTORY)
        await registered(server)
        yield server


async def names(server: Server) -> list[str]:
    (listed,) = (await server.srm("ls", surls=[DIRECTORY]))["files"]
    return [child["path"] for child in listed["subPaths"]]


async def locality(server: Server, path: str) -> str:
    return str((await server.srm("ls", surls=[path]))["files"][0]["fileLocality"])


async def prepared(server: Server, *surls: str, **more: Any) -> tuple[str, list[dict[str, Any]]]:
    """A request's token, and its files once none of them waits."""
    tree = await server.srm("prepareToGet", files=[{"surl": surl} for surl in surls], **more)
    return tree["requestToken"], await ended(server, tree["requestToken"], **more)


async def read(server: Server, *surls: str, **more: Any) -> list[bytes]:
    request, lines = await prepared(server, *surls, **more)
    got = [await server.get(line["transferURL"]) for line in lines]
    await server.srm("releaseFiles", requestToken=request, **more)
    return got


async def taken(server: Server) -> int:
    """Bytes that all images of the cache take, which the sums must tell, and the parts that are there."""
    async with server.house.database.acquire() as db:
        totals = await staged.totals(db)
        rows = await db.fetchrow("select coalesce(sum(bytes), 0)::bigint, count(*) from staged_images")
        parts = await db.fetchval(
            "select coalesce(sum(cipher_size), 0)::bigint from parts join images i on i.id = image"
            " where i.source is not null"
        )
    assert rows is not None
    assert (totals.here, totals.coming, totals.images) == (rows[0], 0, rows[1])
    assert totals.here == parts
    return int(totals.here)


async def room_for(server: Server, images: int, when_full: str = "queue") -> None:
    """Set the quota to so many images and a half, by what one takes that is here."""
    server.house.cache.settings = CacheSettings.model_validate({"when_full": when_full})
    (first,) = (await names(server))[:1]
    await read(server, first)
    one = await taken(server)
    quota = images * one + one // 2
    server.house.cache.settings = CacheSettings.model_validate({"quota": quota, "when_full": when_full})


async def last_look(server: Server) -> datetime:
    """When there was last no room for an image that is waited for."""
    async with server.house.database.acquire() as db:
        when: datetime = await db.fetchval("select max(full_seen) from images_to_stage")
    return when


async def image_of(server: Server, path: str) -> UUID:
    async with server.house.database.acquire() as db:
        image: UUID = await db.fetchval("select image from entries where name = $1", path.rpartition("/")[2])
    return image


async def test_what_is_lost_here_is_brought_again_whoever_has_it_pinned(caching: Server) -> None:
    first = (await names(caching))[0]
    _, (line,) = await prepared(caching, first)
    before = await caching.get(line["transferURL"])
    (blob,) = blob_files(caching.data)
    blob.unlink()
    answer = await caching.call("GET", line["transferURL"])
    assert (answer.status, answer.tree["type"]) == (503, "urn:mdm:error:lost-here")

    async def is_let_go() -> bool:
        return await locality(caching, first) == "NEARLINE"

    await until(is_let_go)
    assert await read(caching, first) == [before]
    assert await locality(caching, first) == "ONLINE_AND_NEARLINE"


async def test_the_least_recently_used_goes_and_comes_again_with_all_its_bytes(caching: Server) -> None:
    await room_for(caching, 2)
    first, second, third = (await names(caching))[:3]
    views = [f"/@identified{first}", first]
    reader = await caching.token("rilgx", views=["basic", "identified"])
    before = await read(caching, *views, token=reader)
    listed = (await caching.srm("ls", surls=[first]))["files"][0]
    await read(caching, second)
    async with caching.house.database.acquire() as db:
        await db.execute("update staged_images set used = used - interval '1 hour'")
    await read(caching, first)
    await read(caching, third)
    assert [await locality(caching, one) for one in (first, second, third)] == [
        "ONLINE_AND_NEARLINE",
        "NEARLINE",
        "ONLINE_AND_NEARLINE",
    ]
    assert await caching.house.cache.evict(await image_of(caching, first))
    away = (await caching.srm("ls", surls=[first]))["files"][0]
    assert away["fileLocality"] == "NEARLINE"
    assert away["guid"] == listed["guid"]
    await caching.house.sweeper.sweep()
    async with caching.house.database.acquire() as db:
        assert await db.fetchval("select count(*) from blobs") == await db.fetchval(
            "select count(blob) from parts"
        )
    fsck = await caching.call("POST", "/admin/v1/fsck", token=caching.admin_token, json={"repair": False})
    assert fsck.tree["findings"] == []
    assert await read(caching, *views, token=reader) == before
    again = (await caching.srm("ls", surls=[first]))["files"][0]
    assert again == listed
    await taken(caching)


async def test_what_is_pinned_stays_and_who_asks_for_more_waits_until_it_is_released(
    caching: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bringing, "_NO_ROOM", Seldom(1))
    await room_for(caching, 2)
    first, second, third = (await names(caching))[:3]
    token, lines = await prepared(caching, first, second)

    async def is_full() -> bool:
        return caching.house.staging.lines["hospital"].is_full

    with captured_log() as log:
        tree = await caching.srm("prepareToGet", files=[{"surl": third}])
        assert tree["returnStatus"]["statusCode"] == "SRM_REQUEST_QUEUED"
        await until(is_full)
    (line,) = [one for one in log.getvalue().splitlines() if "there is no room for images" in one]
    said = json.loads(line)
    assert (said["level"], said["quota"]) == ("warning", caching.house.cache.settings.quota)
    assert "release files" in said["remedy"]
    (told,) = (await caching.call("GET", "/admin/v1/archives", token=caching.admin_token)).tree["archives"]
    assert told["noRoom"]
    (one,) = (await caching.srm("statusOfGetRequest", requestToken=tree["requestToken"]))["files"]
    assert one["status"]["explanation"] == "the cache is full until something is released"
    again = await caching.srm("prepareToGet", files=[{"surl": third}])
    brought = await caching.srm("bringOnline", files=[{"surl": third}])
    for first_answer in (again, brought):
        assert first_answer["files"][0]["status"] == one["status"]
    # No longer than the pins that are in the way last, and about as long.
    pin = min(line["remainingPinTime"] for line in lines)
    assert pin / 2 < again["files"][0]["estimatedWaitTime"] < pin + 120
    tree_of_tape = await caching.call(
        "POST", "/tape/v1/stage", token=caching.admin_token, json={"files": [{"path": third}]}
    )
    staged_at = f"/tape/v1/stage/{tree_of_tape.tree['requestId']}"
    looks = {await last_look(caching)}

    async def tried() -> bool:
        told = await caching.srm("statusOfGetRequest", requestToken=tree["requestToken"])
        assert told["returnStatus"]["statusCode"] == "SRM_REQUEST_QUEUED"
        assert told["files"][0]["status"]["statusCode"] == "SRM_REQUEST_QUEUED"
        assert pin / 2 < told["files"][0]["estimatedWaitTime"] < pin + 120
        (file,) = (await caching.call("GET", staged_at, token=caching.admin_token)).tree["files"]
        assert (file["state"], file["explanation"]) == ("SUBMITTED", one["status"]["explanation"])
        looks.add(await last_look(caching))
        return len(looks) > 3

    await until(tried)
    for line in lines:
        assert await caching.get(line["transferURL"])
    assert [await locality(caching, one) for one in (first, second)] == ["ONLINE_AND_NEARLINE"] * 2
    await caching.srm("releaseFiles", requestToken=token, surls=[first])
    (line,) = await ended(caching, tree["requestToken"])
    assert line["status"]["statusCode"] == "SRM_FILE_PINNED"
    assert await caching.get(line["transferURL"])
    assert await locality(caching, first) == "NEARLINE"
    assert await locality(caching, second) == "ONLINE_AND_NEARLINE"


async def test_where_nobody_waits_for_room_each_way_in_is_told_so(caching: Server) -> None:
    await room_for(caching, 1, "refuse")
    first, second = (await names(caching))[:2]
    token, _ = await prepared(caching, first)
    async with asyncio.timeout(60):
        while True:  # a fetch is tried while there is room for the beginning of a file
            tree = await caching.srm("prepareToGet", files=[{"surl": second}], expect=None)
            if "requestToken" not in tree:
                break
            (line,) = await ended(caching, tree["requestToken"])
            assert line["status"]["statusCode"] == "SRM_NO_FREE_SPACE"
            status = await caching.srm("statusOfGetRequest", requestToken=tree["requestToken"])
            assert status["returnStatus"]["statusCode"] == "SRM_NO_FREE_SPACE"
            room = caching.house.cache.settings
            assert room.quota is not None
            caching.house.cache.settings = room.model_copy(update={"quota": await taken(caching)})
    assert tree["returnStatus"]["statusCode"] == "SRM_NO_FREE_SPACE"
    assert tree["files"][0]["status"]["statusCode"] == "SRM_NO_FREE_SPACE"
    tree = await caching.srm("bringOnline", files=[{"surl": second}], expect=None)
    assert tree["files"][0]["status"]["statusCode"] == "SRM_NO_FREE_SPACE"
    staged_ = await caching.call(
        "POST", "/tape/v1/stage", token=caching.admin_token, json={"files": [{"path": second}]}
    )
    assert staged_.status == 507
    assert staged_.tree["type"] == "urn:mdm:error:cache-full"
    await caching.srm("releaseFiles", requestToken=token)
    caching.house.cache.settings = CacheSettings(quota=3 * await taken(caching) // 2, when_full="refuse")
    assert await read(caching, second)
    assert await locality(caching, first) == "NEARLINE"


async def test_a_file_that_is_larger_than_all_there_may_be_is_refused_for_good(caching: Server) -> None:
    caching.house.cache.settings = CacheSettings(quota=PIXELS // 2)
    first = (await names(caching))[0]
    _, (line,) = await prepared(caching, first)
    assert line["status"]["statusCode"] == "SRM_NO_FREE_SPACE"
    assert "cache.quota" in line["status"]["explanation"]
    assert await taken(caching) == 0


async def test_what_was_brought_online_stays_until_its_time_is_over_or_it_is_released(
    caching: Server,
) -> None:
    await room_for(caching, 2)
    first, second = (await names(caching))[:2]
    tree = await caching.srm("bringOnline", files=[{"surl": first}, {"surl": second}])
    await ended(caching, tree["requestToken"], "BringOnline")
    assert await caching.house.cache.evict(await image_of(caching, first)) == "pinned"
    assert await caching.house.cache.evict(await image_of(caching, second)) == "pinned"
    await caching.srm("releaseFiles", requestToken=tree["requestToken"], surls=[first])
    await caching.srm("releaseFiles", surls=[second])
    assert isinstance(await caching.house.cache.evict(await image_of(caching, first)), int)
    assert isinstance(await caching.house.cache.evict(await image_of(caching, second)), int)


async def test_what_is_read_in_one_step_is_held_and_what_was_evicted_is_not_served_from_memory(
    caching: Server,
) -> None:
    first = (await names(caching))[0]
    image = await image_of(caching, first)
    await read(caching, first)

    path = f"/dav{first}"
    reply = await caching.call("GET", path, token=caching.admin_token)
    assert reply.status == 200, (reply.status, reply.body)
    assert await caching.house.cache.evict(image) == "read"
    async with caching.house.database.acquire() as db:
        await db.execute("update images set in_use_until = '-infinity'")
    assert isinstance(await caching.house.cache.evict(image), int)

    # It is the feed that tells the node: within the time for which it trusts what it knows.
    async def is_away() -> bool:
        return (await caching.call("GET", path, token=caching.admin_token)).status != 200

    await until(is_away)
    assert await read(caching, first)
    assert (await caching.call("GET", path, token=caching.admin_token)).body == reply.body


async def test_what_may_go_is_not_committed_to_a_device_whose_directory_it_lies_in(
    archive: FakeArchive, caching: Server
) -> None:
    house, own = caching.house, made(seed=9)
    device = Caller("ae:CT1", frozenset({"ae:CT1"}), (Scope(Lfn(DIRECTORY), parse_rights("w")),))
    asked = [sop_common(file) for file in (*archive.files.values(), own)]
    await read(caching, *(await names(caching)))
    await caching.put(f"{DIRECTORY}/own.dcm", own)
    told = await held(
        house.database,
        house.blobs,
        house.workshop.blind,
        device,
        Lfn(DIRECTORY),
        [Instance(*one) for one in asked],
    )
    assert told == [Held.NO] * 6 + [Held.YES]


async def test_an_original_that_was_put_here_never_goes(caching: Server) -> None:
    kept = f"{DIRECTORY}/kept.dcm"
    await caching.put(kept, made(seed=99, pixels=PIXELS))
    assert await caching.house.cache.evict(await image_of(caching, kept)) is None
    await room_for(caching, 1)
    for path in (await names(caching))[:4]:
        if path != kept:
            await read(caching, path)
    assert await locality(caching, kept) == "ONLINE"


async def test_no_more_is_set_aside_at_once_than_there_may_be(caching: Server) -> None:
    """As two nodes would, each with connections of its own."""
    quota = 10_000
    nodes = [
        Cache(caching.house.database, CacheSettings(quota=quota), ["hospital"], 0.5, 60) for _ in range(2)
    ]
    images = [await image_of(caching, one) for one in await names(caching)]

    async def some(node: Cache, image: UUID) -> bool:
        try:
            await node.set_aside(image, 3000)
        except CacheFull:
            return False
        return True

    got = await asyncio.gather(*(some(nodes[at % 2], image) for at, image in enumerate(images)))
    assert sum(got) == 3
    async with caching.house.database.acquire() as db:
        assert (await staged.totals(db)).coming == 9000
        # A node that is gone keeps its room no longer than its lease.
        await db.execute("update staged_images set coming_until = now() - interval '1 second'")
    await until(lambda: some(nodes[0], images[0]))
    with pytest.raises(CacheTooSmall):
        await nodes[0].set_aside(images[0], quota + 1)


async def test_who_has_waited_for_room_for_long_goes_before_others(caching: Server) -> None:
    images = [await image_of(caching, one) for one in (await names(caching))[:2]]
    async with caching.house.database.transaction() as db:
        await images_to_stage.add(db, dict.fromkeys(images, "elsewhere"), "user:a")
        assert not await images_to_stage.wait_for_room(db, images[0])
        assert not await images_to_stage.another_is_first(db, images[1])
        await db.execute(
            "update images_to_stage set full_since = now() - interval '1 minute' where image = $1", images[0]
        )
        assert await images_to_stage.wait_for_room(db, images[0])
        assert await images_to_stage.another_is_first(db, images[1])
        assert not await images_to_stage.another_is_first(db, images[0])
        # What never fits blocks nobody for ever.
        await db.execute(
            "update images_to_stage set full_since = now() - interval '6 minutes' where image = $1", images[0]
        )
        assert not await images_to_stage.another_is_first(db, images[1])
        await images_to_stage.wait_no_more(db, images[0])
        assert not await images_to_stage.another_is_first(db, images[1])


async def test_whoever_prepares_while_it_is_evicted_has_the_file_or_waits_for_it(caching: Server) -> None:
    paths = (await names(caching))[:3]
    expected = await read(caching, *paths)
    images = [await image_of(caching, one) for one in paths]
    over = asyncio.Event()
    evicted = 0

    async def evict() -> None:
        nonlocal evicted
        while not over.is_set():
            for image in images:
                evicted += isinstance(await caching.house.cache.evict(image), int)
            await asyncio.sleep(0)

    async def work(at: int) -> None:
        for _ in range(12):
            assert await read(caching, paths[at % 3]) == [expected[at % 3]]

    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(evict())
        await asyncio.gather(*(work(at) for at in range(4)))
        over.set()
    assert evicted > 3
    await taken(caching)


async def test_a_staged_image_that_is_shredded_leaves_its_room(caching: Server) -> None:
    first, second = (await names(caching))[:2]
    await read(caching, first, second)
    assert await caching.house.cache.evict(await image_of(caching, second))
    for path in (first, second):
        await caching.srm("rm", surls=[path])
    await caching.house.sweeper.sweep()
    assert await taken(caching) == 0


async def test_what_a_cohort_pins_stays(caching: Server) -> None:
    first, second = (await names(caching))[:2]
    await read(caching, first, second)
    body = {"surl": f"{DIRECTORY}/cohort", "files": [first]}
    reply = await caching.call("POST", "/cohorts/v1/create", token=caching.admin_token, json=body)
    assert reply.status < 300, reply.body
    assert await caching.house.cache.evict(await image_of(caching, first)) == "cohort"
    assert await caching.house.cache.evict(await image_of(caching, second))


async def test_what_comes_again_with_other_pixels_is_not_served_as_what_was_there(
    archive: FakeArchive, caching: Server
) -> None:
    first = (await names(caching))[0]
    await read(caching, first)
    assert await caching.house.cache.evict(await image_of(caching, first))
    for uid, file in archive.files.items():
        image = pydicom.dcmread(io.BytesIO(file))
        image.PixelData, image.StudyDescription = image.PixelData[::-1], "corrected"
        written = io.BytesIO()
        image.save_as(written, enforce_file_format=True)
        archive.files[uid] = written.getvalue()
    _, (line,) = await prepared(caching, first)
    assert line["status"]["statusCode"] == "SRM_FAILURE"
    assert "other pixels" in line["status"]["explanation"]
    # Another head is the archive's correction.
    for uid, file in archive.files.items():
        image = pydicom.dcmread(io.BytesIO(file))
        image.PixelData = image.PixelData[::-1]
        written = io.BytesIO()
        image.save_as(written, enforce_file_format=True)
        archive.files[uid] = written.getvalue()
    (served,) = await read(caching, first)
    assert pydicom.dcmread(io.BytesIO(served)).pixel_array.size


async def test_a_request_for_more_than_there_is_room_for_comes_as_its_files_are_released(
    archive: FakeArchive, caching: Server
) -> None:
    await room_for(caching, 2)
    paths = await names(caching)
    request = (await caching.srm("prepareToGet", files=[{"surl": path} for path in paths]))["requestToken"]
    got: dict[str, bytes] = {}
    async with asyncio.timeout(120):
        while len(got) < len(paths):
            tree = await caching.srm("statusOfGetRequest", requestToken=request)
            pinned = [one for one in tree["files"] if one["status"]["statusCode"] == "SRM_FILE_PINNED"]
            assert len(pinned) <= 2
            for one in pinned:
                got[one["surl"]] = await caching.get(one["transferURL"])
                await caching.srm("releaseFiles", requestToken=request, surls=[one["surl"]])
            await asyncio.sleep(0.02)
    assert len(set(got.values())) == len(paths)
    await taken(caching)


LONG, USUAL = 86_400, 3600


async def remaining(server: Server, request: str, token: str) -> list[int]:
    """Seconds that a request's pins live, in order of length."""
    lines = await ended(server, request, token=token)
    return sorted(line["remainingPinTime"] for line in lines)


def about(lives: list[int], *expected: int) -> bool:
    return len(lives) == len(expected) and all(
        one - 200 < life <= one for life, one in zip(lives, expected, strict=True)
    )


async def test_nobody_pins_more_than_a_share_of_the_cache_for_long(caching: Server) -> None:
    await room_for(caching, 3)
    first, second, third, fourth = (await names(caching))[:4]
    alice = await caching.token("rlxg", views=["basic"], name="alice")
    bob = await caching.token("rlxg", views=["basic"], name="bob")
    # One is here, two are waited for; one of them is within half of the room.
    files = {"files": [{"surl": one} for one in (first, second, third)]}
    request = (await caching.srm("prepareToGet", token=alice, desiredPinLifeTime=LONG, **files))[
        "requestToken"
    ]
    assert about(await remaining(caching, request, alice), USUAL, USUAL, LONG)
    await caching.srm("extendFileLifeTime", token=alice, requestToken=request, newPinLifeTime=LONG)
    assert about(await remaining(caching, request, alice), USUAL, USUAL, LONG)

    asked = (await caching.srm("prepareToGet", token=bob, files=[{"surl": fourth}]))["requestToken"]

    async def told() -> bool:
        tree = await caching.srm("statusOfGetRequest", token=bob, requestToken=asked)
        # Its beginning may have had room.
        is_queued = tree["returnStatus"]["statusCode"] == "SRM_REQUEST_QUEUED"
        return is_queued and USUAL / 2 < tree["files"][0]["estimatedWaitTime"] < USUAL + 120

    await until(told)
    # What is here is pinned by another for as long as usual, too: within what the others leave him.
    (line,) = (await prepared(caching, first, token=alice, desiredPinLifeTime=LONG))[1]
    assert about([line["remainingPinTime"]], USUAL)
    await caching.srm("abortRequest", token=bob, requestToken=asked)
    await caching.srm("releaseFiles", token=alice, requestToken=request)
    # Released, it counts no more.
    tree = await caching.srm("bringOnline", token=alice, desiredPinLifeTime=LONG, **files)
    await ended(caching, tree["requestToken"], "BringOnline", token=alice)
    async with caching.house.database.acquire() as db:
        lives = await db.fetch(
            "select extract(epoch from expires - now())::int as life from grants where request = $1 order by life",
            UUID(tree["requestToken"]),
        )
        kept = await db.fetchval("select sum(bytes) from long_pins")
    assert about([row["life"] for row in lives], USUAL, USUAL, LONG)
    assert 0 < kept < caching.house.cache.settings.quota / 2
    await caching.srm("releaseFiles", token=alice, requestToken=tree["requestToken"])
    async with caching.house.database.acquire() as db:
        assert await db.fetchval("select sum(bytes) from long_pins") == 0


async def test_what_a_revoked_token_pinned_goes(caching: Server) -> None:
    first = (await names(caching))[0]
    token = await caching.token("rlxg", views=["basic"], name="alice")
    await prepared(caching, first, token=token, desiredPinLifeTime=LONG)
    image = await image_of(caching, first)
    assert await caching.house.cache.evict(image) == "pinned"
    async with caching.house.database.acquire() as db:
        await db.execute("update tokens set revoked = now() where name = 'alice'")
        await db.execute("update images set in_use_until = '-infinity'")
    assert isinstance(await caching.house.cache.evict(image), int)
