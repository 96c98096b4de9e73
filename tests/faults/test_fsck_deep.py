"""Rot: whatever of a stored image is changed behind the server's back, a deep check tells what it was, and mends it
where it can be had again."""

import errno
import os
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from aiohttp import ClientPayloadError

from mdm_async.catalog.holdings import damage
from mdm_async.crypt4gh.segment import CIPHER_SEGMENT
from mdm_async.images.upkeep import deep_check
from mdm_async.images.upkeep.looking import Looked
from tests.conftest import Server, running_server
from tests.faults.conditions import blob_files, until
from tests.postgres.for_tests import PostgresForTests
from tests.web.made_images import made
from tests.web.sealed_lines import RECIPIENT
from tests.web.test_privacy import captured_log

_SEEDS = count(900)


@pytest.fixture(scope="module")
async def rotten(
    postgres: PostgresForTests, migrated: str, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Server]:
    """What one test spoils stays so: each looks at an image of its own."""
    dsn = await postgres.fresh_database(migrated)
    async with running_server(tmp_path_factory.mktemp("rotten") / "data", dsn) as server:
        yield server


@dataclass
class Archive:
    """One image, by a name and by the file that its pixels lie in."""

    server: Server
    name: str
    image: UUID
    blob: Path

    async def execute(self, statement: str, *arguments: Any) -> None:
        async with self.server.house.database.acquire() as db:
            await db.execute(statement, *arguments)

    async def look(self, *, repair: bool = False) -> dict[str, Any] | None:
        """What was found of the one image."""
        asked = {"repair": repair, "seconds": 60}
        answer = await self.server.call(
            "POST", "/admin/v1/fsck/deep", token=self.server.admin_token, json=asked
        )
        assert answer.status == 200, answer.body
        assert answer.tree["next"] is None
        return next((one for one in answer.tree["found"] if one["image"] == str(self.image)), None)

    async def damage(self) -> set[tuple[str, str | None]]:
        """(kind, view) of what is damaged."""
        found = await self.look()
        assert found is not None
        assert found["names"] == [self.name]
        return {(one["kind"], one["view"]) for one in found["damage"]}


@pytest.fixture
async def archive(rotten: Server) -> Archive:
    seed = next(_SEEDS)
    await rotten.put(f"/{seed}.dcm", made(seed=seed, pixels=300_000))
    async with rotten.house.database.acquire() as db:
        image, blob = await db.fetchrow(
            "select e.image, p.blob from entries e join parts p on p.image = e.image"
            " where e.name = $1 and p.blob is not null",
            f"{seed}.dcm",
        )
    return Archive(rotten, f"/{seed}.dcm", image, rotten.data / "blobs" / blob.hex[:2] / blob.hex)


async def flipped(archive: Archive) -> None:
    with archive.blob.open("r+b") as file:
        file.seek(archive.blob.stat().st_size // 2)
        (byte,) = file.read(1)
        file.seek(-1, os.SEEK_CUR)
        file.write(bytes([byte ^ 1]))


async def cut(archive: Archive) -> None:
    os.truncate(archive.blob, archive.blob.stat().st_size - 1)


async def lost(archive: Archive) -> None:
    archive.blob.unlink()


async def swapped_segments(archive: Archive) -> None:
    data = archive.blob.read_bytes()
    first, second = data[:CIPHER_SEGMENT], data[CIPHER_SEGMENT : 2 * CIPHER_SEGMENT]
    archive.blob.write_bytes(second + first + data[2 * CIPHER_SEGMENT :])


async def swapped_blobs(archive: Archive) -> None:
    """With another image's, which is as large."""
    seed = next(_SEEDS)
    before = set(blob_files(archive.server.data))
    await archive.server.put(f"/{seed}.dcm", made(seed=seed, pixels=300_000))
    (other,) = set(blob_files(archive.server.data)) - before
    archive.blob.write_bytes(other.read_bytes())


def inline(what: str) -> Callable[[Archive], Awaitable[None]]:
    async def harm(archive: Archive) -> None:
        await archive.execute(f"update parts set {what} where image = $1 and kind = 'pixels'", archive.image)

    return harm


PIXELS = {("part", "basic"), ("part", "identified")}
LOST = {("lost", "basic"), ("lost", "identified")}
HARMS: dict[str, tuple[Callable[[Archive], Awaitable[None]], set[tuple[str, str | None]]]] = {
    "a bit flips": (flipped, PIXELS),
    "a blob is shorter": (cut, LOST),
    "a blob is gone": (lost, LOST),
    "segments are swapped": (swapped_segments, PIXELS),
    "blobs are swapped": (swapped_blobs, PIXELS),
    "another salt": (inline("salt = sha256(salt)"), PIXELS),
    "another checksum of the ciphertext": (inline("cipher_adler = cipher_adler # 1"), PIXELS),
}


@pytest.mark.parametrize("how", HARMS)
async def test_rot_of_the_pixels_is_found_in_each_view_that_shares_them(archive: Archive, how: str) -> None:
    assert await archive.look() is None
    harm, damage = HARMS[how]
    await harm(archive)
    assert await archive.damage() == damage
    # What cannot be had again is left as it is.
    found = await archive.look(repair=True)
    assert found is not None
    assert not found["repaired"]
    assert await archive.damage() == damage


async def test_bytes_that_the_disk_cannot_read_are_damaged_and_keep_no_other_from_being_looked_at(
    archive: Archive, monkeypatch: pytest.MonkeyPatch
) -> None:
    preadv = os.preadv

    def broken(descriptor: int, *more: Any) -> int:
        if os.readlink(f"/proc/self/fd/{descriptor}") == str(archive.blob):
            raise OSError(errno.EIO, "Input/output error")
        return preadv(descriptor, *more)

    monkeypatch.setattr(os, "preadv", broken)
    assert await archive.damage() == PIXELS


FLIP = "set_byte({0}, octet_length({0}) / 2, get_byte({0}, octet_length({0}) / 2) # 1)"
ROWS: dict[str, tuple[str, set[tuple[str, str | None]]]] = {
    "an inline part of a view": (
        f"update parts set inline = {FLIP.format('inline')} where image = $1 and kind = 'head'"
        " and secret = 'image'",
        {("part", "basic")},
    ),
    "an inline part of the original": (
        f"update parts set inline = {FLIP.format('inline')} where image = $1 and kind = 'head'"
        " and secret = 'identity'",
        {("part", "identified")},
    ),
    "a view's record": (
        f"update views set record = {FLIP.format('record')} where image = $1 and name = 'basic'",
        {("record", "basic")},
    ),
    "the original's record": (
        f"update views set record = {FLIP.format('record')} where image = $1 and name = 'identified'",
        {("record", "identified")},
    ),
    "a report": (
        f"update views set report = {FLIP.format('report')} where image = $1 and name = 'basic'",
        {("record", "basic")},
    ),
    "a part's row": (
        "delete from parts where image = $1 and kind = 'head' and secret = 'image'",
        {("part", "basic")},
    ),
    "the secrets": ("delete from mdm_keys.image_secrets where image = $1", {("keys", None)}),
}


@pytest.mark.parametrize("what", ROWS)
async def test_rot_in_the_catalog_is_found_and_views_are_made_anew(archive: Archive, what: str) -> None:
    statement, damage = ROWS[what]
    await archive.execute(statement, archive.image)
    assert await archive.damage() == damage
    found = await archive.look(repair=True)
    assert found is not None
    assert found["repaired"] is (damage <= {("part", "basic"), ("record", "basic")})
    if found["repaired"]:
        files = [{"surl": archive.name, "view": "basic"}]

        async def is_made() -> bool:
            prepared = await archive.server.srm("prepareToGet", files=files, expect=None)
            return "transferURL" in prepared["files"][0]

        await until(is_made)
        assert await archive.look() is None


async def test_what_is_looked_at_is_not_counted_as_served(archive: Archive) -> None:
    async def decrypted() -> list[bytes]:
        shown = await archive.server.call("GET", "/metrics", token=archive.server.admin_token)
        return [line for line in shown.body.splitlines() if line.startswith(b"mdm_segments_decrypted_total")]

    before = await decrypted()
    assert await archive.look() is None
    assert await decrypted() == before != []


async def test_it_goes_page_by_page_and_may_be_gone_on_with(archive: Archive) -> None:
    async with archive.server.house.database.acquire() as db:
        all_ = await db.fetchval("select count(*) from images")
    seen, after = 0, None
    while True:
        asked: dict[str, Any] = {"seconds": 0} | ({"after": after} if after else {})
        answer = await archive.server.call(
            "POST", "/admin/v1/fsck/deep", token=archive.server.admin_token, json=asked
        )
        seen += answer.tree["images"]
        if (after := answer.tree["next"]) is None:
            break
    assert seen == all_ >= 1


async def test_what_is_found_is_known_until_the_image_is_well_or_gone(archive: Archive) -> None:
    async def known() -> list[dict[str, Any]]:
        answer = await archive.server.call(
            "POST", "/admin/v1/fsck/known", token=archive.server.admin_token, json={}
        )
        assert answer.status == 200, answer.body
        return [one for one in answer.tree["found"] if one["image"] == str(archive.image)]

    data = archive.blob.read_bytes()
    await cut(archive)
    await archive.damage()
    (before,) = await known()
    assert before["names"] == [archive.name]
    assert {one["view"] for one in before["damage"]} == {"basic", "identified"}
    await archive.damage()
    assert await known() == [before], "since the first time"
    archive.blob.write_bytes(data)
    assert await archive.look() is None
    assert not await known()
    await cut(archive)
    await archive.damage()
    assert await known()
    await archive.server.srm("rm", surls=[archive.name])
    await archive.server.house.sweeper.sweep()
    assert not await known()


@pytest.mark.parametrize("how", ["clear", "sealed", "inline"])
async def test_what_a_reader_fails_on_is_put_down_as_a_deep_check_does_once(
    archive: Archive, how: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However many ask for it; and of a healthy one nothing is read."""
    looked: list[UUID] = []
    into = deep_check.looked_into

    async def counted(*given: Any) -> Looked:
        looked.append(given[2].image)
        return await into(*given)

    monkeypatch.setattr(deep_check, "looked_into", counted)
    line = await archive.server.prepare(archive.name, recipient=RECIPIENT if how == "sealed" else None)
    assert (await archive.server.call("GET", line["transferURL"])).status == 200
    if how == "inline":
        await archive.execute(ROWS["an inline part of a view"][0], archive.image)
        archive.server.cool()
    else:
        await (flipped if how == "clear" else cut)(archive)
    for _ in range(20):
        # Some begin, and break off where it is damaged.
        with suppress(ClientPayloadError):
            assert (await archive.server.call("GET", line["transferURL"])).status >= 400

    async def is_known() -> bool:
        answer = await archive.server.call(
            "POST", "/admin/v1/fsck/known", token=archive.server.admin_token, json={}
        )
        return any(one["names"] == [archive.name] for one in answer.tree["found"])

    await until(is_known)
    assert set(looked) == {archive.image}
    assert len(looked) == 2, "once, and once more for what was amiss"


async def test_a_doomed_blob_that_an_image_needs_is_kept_and_keeps_no_other_from_going(
    archive: Archive,
) -> None:
    seed = next(_SEEDS)
    await archive.server.put(f"/{seed}.dcm", made(seed=seed, pixels=300_000))
    before = set(blob_files(archive.server.data))
    await archive.execute(
        "update blobs set state = 'doomed', doomed = now() where id = $1", UUID(archive.blob.name)
    )
    await archive.server.srm("rm", surls=[f"/{seed}.dcm"])
    with captured_log() as log:
        await archive.server.house.sweeper.sweep()
    assert log.getvalue().count("that an image needs") == 1
    assert str(archive.image) in log.getvalue()
    assert len(before) - len(blob_files(archive.server.data)) == 1
    assert archive.blob.exists()
    assert await archive.look() is None


async def test_a_doomed_image_that_a_name_points_to_keeps_its_keys(archive: Archive) -> None:
    await archive.execute("update images set doomed = now() where id = $1", archive.image)
    with captured_log() as log:
        await archive.server.house.sweeper.sweep()
    assert log.getvalue().count("an image was to be destroyed") == 1
    assert await archive.look() is None
    assert await archive.server.read(archive.name)


async def test_all_is_looked_at_in_the_background(
    postgres: PostgresForTests, migrated: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(deep_check, "_REST", 0.05)
    dsn = await postgres.fresh_database(migrated)
    async with running_server(tmp_path / "data", dsn, blobs={"deep_check_days": 1e-5}) as server:
        await server.put("/a.dcm", made(pixels=300_000))
        (blob,) = blob_files(server.data)
        os.truncate(blob, blob.stat().st_size - 1)

        async def is_known() -> bool:
            answer = await server.call("POST", "/admin/v1/fsck/known", token=server.admin_token, json={})
            return [one["names"] for one in answer.tree["found"]] == [["/a.dcm"]]

        await until(is_known)

        async def is_counted() -> bool:
            return b"mdm_damaged_parts 1.0" in (await server.call("GET", "/metrics")).body

        await until(is_counted)


async def test_it_goes_as_evenly_as_images_are_spread(rotten: Server) -> None:
    """A node at a time; when half of the time is over, what lies in the first half has been looked at."""
    async with rotten.house.database.transaction() as db:
        for elapsed, ended, after, turn in (
            (40, False, UUID(int=1 << 126), UUID(int=1 << 126)),
            (20, False, UUID(int=1 << 126), None),
            (40, True, UUID(int=1 << 126), None),
            (101, True, UUID(int=1 << 126), UUID(int=0)),
        ):
            await db.execute(
                "update deep_check set begun = now() - make_interval(secs => $1), after = $2, held_until = now(),"
                " ended = case when $3 then now() end",
                elapsed,
                after,
                ended,
            )
            assert await damage.turn(db, 100) == turn
            if turn is not None:
                assert await damage.turn(db, 100) is None, "held"
        await damage.end_turn(db, None)
        assert (await damage.standing(db)).share == 1.0
