"""Images of one series that wait together come in one request; what does not come so is asked for by itself."""

import io
from collections.abc import Callable
from typing import Any

import pydicom
import pytest
from aiohttp import web

from tests.conftest import Server
from tests.pacs.sources.fake_archive import Answer, FakeArchive, multipart
from tests.pacs.sources.test_staging import emptied, ended, registered
from tests.web.made_images import made

Files = list[bytes]


async def brought(server: Server, paths: list[str]) -> list[dict[str, Any]]:
    tree = await server.srm("prepareToGet", files=[{"surl": path} for path in paths])
    assert tree["returnStatus"]["statusCode"] == "SRM_REQUEST_QUEUED"
    return await ended(server, tree["requestToken"])


def asked(archive: FakeArchive) -> tuple[int, int]:
    """Requests for a series, and for one instance."""
    paths = [one.partition("?")[0].split("/")[-2] for one in archive.asked]
    return paths.count("series"), paths.count("instances")


def code(line: dict[str, Any]) -> str:
    return str(line["status"]["statusCode"])


async def test_a_series_comes_in_one_request_and_what_nobody_asked_for_is_not_stored(
    archive: FakeArchive, staging: Server
) -> None:
    for seed in range(4):
        archive.add(made(seed=seed))
    paths = await registered(staging)
    archive.asked.clear()
    lines = await brought(staging, paths[:3])
    assert {code(line) for line in lines} == {"SRM_FILE_PINNED"}
    assert asked(archive) == (1, 0)
    for line in lines:
        assert await staging.get(line["transferURL"])
    (listed,) = (await staging.srm("ls", surls=["/pacs"]))["files"]
    at = [child["fileLocality"] for child in listed["subPaths"]]
    assert sorted(at) == ["NEARLINE", *["ONLINE_AND_NEARLINE"] * 3]
    await emptied(staging)


async def test_a_few_of_a_large_series_are_asked_for_by_themselves(
    archive: FakeArchive, staging: Server
) -> None:
    for seed in range(5):
        archive.add(made(seed=seed))
    paths = await registered(staging)
    archive.asked.clear()
    assert {code(line) for line in await brought(staging, paths[:2])} == {"SRM_FILE_PINNED"}
    assert asked(archive) == (0, 2)


def cut_after(files: Files) -> Answer:
    async def answer(request: web.Request) -> web.StreamResponse:
        started = web.StreamResponse(headers={"Content-Type": "multipart/related; boundary=b"})
        await started.prepare(request)
        for file in files:
            await started.write(b"\r\n--b\r\n\r\n" + file)
        await started.write(b"\r\n--b\r\n\r\n" + made(seed=3)[:5000])
        assert request.transport is not None
        request.transport.close()
        return started

    return answer


def with_one_damaged(files: Files) -> Answer:
    async def answer(request: web.Request) -> web.StreamResponse:
        return await multipart(request, files[0], made(seed=1)[:-1000], b"no DICOM", *files[2:])

    return answer


def of_others(files: Files) -> Answer:
    """Without end, were it read to the end."""
    other = pydicom.dcmread(io.BytesIO(files[0]))
    other.SOPInstanceUID = other.file_meta.MediaStorageSOPInstanceUID = "1.2.3.4"
    written = io.BytesIO()
    other.save_as(written, enforce_file_format=True)

    async def answer(request: web.Request) -> web.StreamResponse:
        return await multipart(request, files[0], *[written.getvalue()] * 1000)

    return answer


def written(*parts: bytes) -> Answer:
    """Whatever these say."""

    async def answer(request: web.Request) -> web.StreamResponse:
        started = web.StreamResponse(headers={"Content-Type": "multipart/related; boundary=b"})
        await started.prepare(request)
        for part in parts:
            await started.write(part)
        await started.write_eof()
        return started

    return answer


def without_end(files: Files) -> Answer:
    return written(*[b"\r\n--b\r\n\r\n" + file for file in files])


def of_lying_lengths(files: Files) -> Answer:
    def part(file: bytes, length: int) -> bytes:
        return b"\r\n--b\r\nContent-Length: %d\r\n\r\n" % length + file

    return written(part(files[0], len(files[0])), part(files[1], len(files[1]) - 100), b"\r\n--b--")


def of_other_pixels_behind(files: Files) -> Answer:
    """The same instances again, with other pixels."""
    others = []
    for file in files:
        other = pydicom.dcmread(io.BytesIO(file))
        other.PixelData = bytes(len(other.PixelData))
        kept = io.BytesIO()
        other.save_as(kept, enforce_file_format=True)
        others.append(kept.getvalue())

    async def answer(request: web.Request) -> web.StreamResponse:
        return await multipart(request, *files, *others)

    return answer


def refused(_: Files) -> Answer:
    async def answer(_: web.Request) -> web.StreamResponse:
        return web.Response(status=406)

    return answer


@pytest.mark.parametrize(
    ("together", "singly"),
    [
        (cut_after, 2),
        (with_one_damaged, 1),
        (of_others, 3),
        (without_end, 1),
        (of_lying_lengths, 3),
        (of_other_pixels_behind, 0),
        (refused, 4),
    ],
)
async def test_only_what_did_not_come_with_its_series_is_asked_for_by_itself(
    archive: FakeArchive, staging: Server, together: Callable[[Files], Answer], singly: int
) -> None:
    files = [made(seed=seed) for seed in range(4)]
    for file in files:
        archive.add(file)
    archive.together = together(files[:2] if together is cut_after else files)
    paths = await registered(staging)
    archive.asked.clear()
    lines = await brought(staging, paths)
    assert {code(line) for line in lines} == {"SRM_FILE_PINNED"}
    assert asked(archive) == (1, singly)
    pixels = {pydicom.dcmread(io.BytesIO(await staging.get(one["transferURL"]))).PixelData for one in lines}
    assert pixels == {pydicom.dcmread(io.BytesIO(file)).PixelData for file in files}
    async with staging.house.database.acquire() as db:
        assert await db.fetchval("select count(*) from audit where act = 'stage'") == 4
    await emptied(staging)


async def test_a_series_whose_archive_is_away_is_asked_for_together_when_it_is_back(
    archive: FakeArchive, staging: Server
) -> None:
    tries = 0

    async def away(request: web.Request) -> web.StreamResponse:
        nonlocal tries
        tries += 1
        if tries > 1:
            archive.together = None
        return web.Response(status=503)

    archive.together = away
    for seed in range(3):
        archive.add(made(seed=seed))
    paths = await registered(staging)
    archive.asked.clear()
    assert {code(line) for line in await brought(staging, paths)} == {"SRM_FILE_PINNED"}
    assert asked(archive) == (3, 0)


async def test_who_begins_to_wait_while_a_series_comes_has_it_from_there(
    archive: FakeArchive, staging: Server
) -> None:
    files = [made(seed=seed) for seed in range(4)]
    for file in files:
        archive.add(file)
    paths = await registered(staging)
    later: list[str] = []
    staging.house.archives.named("hospital").line.at_once = 1

    async def slowly(request: web.Request) -> web.StreamResponse:
        if not later:  # before anything comes
            tree = await staging.srm("bringOnline", files=[{"surl": path} for path in paths[2:]])
            later.append(tree["requestToken"])
        return await multipart(request, *files)

    archive.together = slowly
    archive.asked.clear()
    assert {code(line) for line in await brought(staging, paths[:2])} == {"SRM_FILE_PINNED"}
    lines = await ended(staging, later[0], "BringOnline")
    assert {code(line) for line in lines} == {"SRM_SUCCESS"}
    assert asked(archive) == (1, 0)
