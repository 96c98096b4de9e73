"""`mdm pacs` against an archive that is not real and a server that is."""

import asyncio
import io
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pydicom
import pytest
from aiohttp import web

from mdm_async.cli.waiting import Waiting
from mdm_async.errors import MdmError
from tests.cli.conftest import Run
from tests.conftest import Server, running_server
from tests.pacs.devices import image
from tests.pacs.notes import SAFETY, note
from tests.pacs.sources.fake_archive import FakeArchive, fake_archive
from tests.postgres.for_tests import PostgresForTests
from tests.web.made_images import made


@pytest.fixture
async def archive() -> AsyncIterator[FakeArchive]:
    async with fake_archive() as running:
        yield running


@pytest.fixture
async def hospital(
    archive: FakeArchive, postgres: PostgresForTests, migrated: str, tmp_path: Path
) -> AsyncIterator[Server]:
    away = {"name": "away", "dicomweb": "http://127.0.0.1:1/dicom-web"}
    sections: dict[str, Any] = {"pacs": {"sources": [{"name": "hospital", "dicomweb": archive.url}, away]}}
    dsn = await postgres.fresh_database(migrated)
    async with running_server(tmp_path / "data", dsn, **sections) as server:
        yield server


@pytest.fixture
def mdm(run: Run, environment: pytest.MonkeyPatch, hospital: Server) -> Run:
    environment.setenv("MDM_URL", hospital.url)
    environment.setenv("BEARER_TOKEN", hospital.admin_token)
    return run


async def test_an_archive_is_asked_registered_at_and_brought_from(
    mdm: Run, archive: FakeArchive, tmp_path: Path
) -> None:
    images = [archive.add(made(seed=seed, name="Zebedaeus^Q")) for seed in range(3)]
    ended = await mdm("pacs", "echo", "hospital")
    assert (ended.code, ended.text.startswith("hospital: answers in ")) == (0, True)
    assert (await mdm("mkdir", "/pacs")).code == 0
    ended = await mdm("pacs", "register", "hospital", "--path", "/pacs")
    assert ended.code == 0, ended.err
    assert ended.text == "hospital: 1 study, 3 images registered, 0 were there\n"
    ended = await mdm("pacs", "register", "hospital", "--path", "/pacs", "--query", "Modality=CT", "--json")
    assert ended.json == {"studies": 1, "registered": 0, "there": 3, "vanished": 0, "failed": {}}
    ended = await mdm("pacs", "stage", "/pacs")
    assert (ended.code, ended.text) == (0, "3 of 3 files are online\n"), ended.err
    ended = await mdm("pacs", "status", "--json")
    assert ended.json["archives"][0]["answers"]
    assert ended.json["archives"][0]["waiting"] == 0
    ended = await mdm("pacs", "status")
    (line,) = [line for line in ended.text.splitlines() if "hospital" in line]
    assert line.split() == ["hospital", "answers", "0", "0", "0"]
    (line,) = [line for line in ended.text.splitlines() if "away" in line]
    assert "no image asked for yet" in line
    ended = await mdm("get", "-r", "/pacs", tmp_path)
    assert ended.code == 0, ended.err
    assert len(list(tmp_path.rglob("*.dcm"))) == len(images)


async def test_whom_an_archive_has_is_told_to_who_may_identify_them(
    mdm: Run, archive: FakeArchive, hospital: Server, environment: pytest.MonkeyPatch
) -> None:
    archive.add(made(name="Zebedaeus^Q"))
    ended = await mdm("pacs", "find", "hospital")
    assert ended.code != 0
    assert "no right 'i' on /" in ended.err
    environment.setenv("BEARER_TOKEN", await hospital.token("pri", views=["identified"]))
    ended = await mdm("pacs", "find", "hospital")
    assert ended.code == 0, ended.err
    assert "Zebedaeus^Q" in ended.text
    ended = await mdm("pacs", "find", "hospital", "--study", "1.2.3")
    assert ended.text == "no studies\n"


async def test_an_archive_that_is_away_or_unknown_is_told_so(mdm: Run, unused_tcp_port: int) -> None:
    ended = await mdm("pacs", "echo", "nobody")
    assert ended.code != 0
    assert "no archive of that name" in ended.err
    for more in ((), ("--json",)):
        ended = await mdm("pacs", "echo", "away", *more)
        assert ended.code == 11
    assert "cannot be reached" in ended.json["error"]["detail"]


async def test_a_wrong_url_ends_every_command_alike(mdm: Run, archive: FakeArchive) -> None:
    async def missing(_: web.Request) -> web.StreamResponse:
        return web.Response(status=404)

    archive.told = missing
    assert (await mdm("mkdir", "/pacs")).code == 0
    for command in (("echo", "hospital"), ("register", "hospital", "--path", "/pacs")):
        ended = await mdm("pacs", *command)
        assert ended.code == 1
        assert "hospital: the archive answers 404; look at pacs.sources.dicomweb" in ended.err


async def test_whoever_waits_for_an_archive_is_told_what_for(
    mdm: Run, archive: FakeArchive, tmp_path: Path, environment: pytest.MonkeyPatch
) -> None:
    said = asyncio.Event()
    sender = Waiting.__call__

    def say(self: Waiting, error: MdmError, seconds: float) -> None:
        sender(self, error, seconds)
        said.set()

    async def instead(request: web.Request) -> web.StreamResponse:
        await said.wait()
        archive.instead = None
        return await archive._instance(request)

    environment.setattr(Waiting, "__call__", say)
    archive.add(made(seed=1))
    await mdm("mkdir", "/pacs")
    assert (await mdm("pacs", "register", "hospital", "--path", "/pacs")).code == 0
    archive.instead = instead
    ended = await mdm("get", "-r", "/pacs", tmp_path / "out")
    assert ended.code == 0, ended.err
    assert "mdm: waiting, for the server says: a file has still to be brought from its archive" in ended.err


async def test_what_is_kept_of_an_archive_is_told_and_let_go(
    mdm: Run, archive: FakeArchive, hospital: Server
) -> None:
    for seed in range(3):
        archive.add(made(seed=seed, pixels=100_000))
    assert (await mdm("mkdir", "/pacs")).code == 0
    assert (
        await mdm("pacs", "register", "hospital", "--path", "/pacs", "--template", "{instance}.dcm")
    ).code == 0
    paths = [one["path"] for one in (await mdm("ls", "/pacs", "--json")).json]
    ended = await mdm("pacs", "stage", "/pacs")
    assert ended.code == 0, ended.err
    told = (await mdm("cache", "status", "--json")).json
    assert (told["quota"], told["images"], told["evictable"], told["inFlight"]) == (None, 3, 0, 0)
    assert told["kept"] == {"pinned": told["used"]}
    ended = await mdm("cache", "evict", paths[0])
    assert ended.code != 0
    assert "it is pinned" in ended.err
    assert "mdm pacs release" in ended.err
    assert told["pinnedBy"] == {"user:admin": told["used"]}
    assert "by user:admin" in (await mdm("cache", "status")).text
    ended = await mdm("cache", "evict", "--all")
    assert ended.text == "0 images, 0 B let go of\n3 stay: pinned\n"
    async with hospital.house.database.acquire() as db:
        await db.execute("update grants set expires = now() - interval '1 hour'")
    ended = await mdm("cache", "evict", paths[0], "--dry-run")
    assert ended.text.startswith("1 images, ")
    assert ended.text.endswith(" would go\n")
    assert (await mdm("cache", "evict", paths[0], paths[0])).code == 0
    ended = await mdm("cache", "evict", paths[0], "--json")
    assert ended.json == {"dryRun": False, "files": [{"path": paths[0], "bytes": 0}]}
    ended = await mdm("cache", "evict", "--bytes", "1", "--json")
    assert ended.json["images"] == 1
    ended = await mdm("cache", "evict", "/pacs")
    assert ended.text.startswith("1 images, ")
    assert ended.text.endswith("2 not kept, or never let go of\n")
    ended = await mdm("cache", "status")
    assert "0 images; 0 hits, 3 misses" in ended.text
    assert (await mdm("cache", "evict")).code != 0


async def test_what_was_staged_is_released_and_may_go(mdm: Run, archive: FakeArchive) -> None:
    for seed in range(2):
        archive.add(made(seed=seed))
    assert (await mdm("mkdir", "/pacs")).code == 0
    assert (await mdm("pacs", "register", "hospital", "--path", "/pacs")).code == 0
    assert (await mdm("pacs", "stage", "/pacs")).code == 0
    for _ in range(2):
        ended = await mdm("pacs", "release", "/pacs")
        assert (ended.code, ended.text) == (0, "2 of 2 files are released\n"), ended.err
    ended = await mdm("cache", "evict", "--all")
    assert ended.text.startswith("2 images, "), ended.text
    ended = await mdm("pacs", "release", "/pacs/nowhere")
    assert ended.code == 3


async def test_what_goes_wrong_is_told_of_the_name_that_it_is_about(mdm: Run, archive: FakeArchive) -> None:
    archive.add(made(seed=1))
    for command, subject in (
        (("register", "hospital", "--path", "/nope"), "/nope"),
        (("register", "nobody", "--path", "/nope"), "nobody"),
        (("stage", "/nope"), "/nope"),
    ):
        ended = await mdm("pacs", *command)
        assert ended.code != 0
        assert ended.err.startswith(f"mdm: {subject}: "), ended.err
    assert (await mdm("mkdir", "/a", "/b")).code == 0
    for directory in ("/a", "/b"):
        assert (await mdm("pacs", "register", "hospital", "--path", directory)).code == 0
    study = str(pydicom.dcmread(io.BytesIO(next(iter(archive.files.values())))).StudyInstanceUID)
    ended = await mdm("pacs", "stage", "hospital", "--study", study)
    assert "no right 'i' on /" in ended.err
    for asked, count in ((("--path", "/a"), 1), ((), 1), ((), 0)):
        ended = await mdm("pacs", "stage", "hospital", *asked)
        assert ended.code == 0, ended.err
        assert ended.text.startswith(f"{count} of {count} files are online\n")
        assert ("nothing is registered of it, or all of it is here" in ended.text) == (not count)
    ended = await mdm("pacs", "stage", "/a", "--study", study)
    assert "of one archive" in ended.err
    ended = await mdm("pacs", "echo", "away")
    assert "away: the archive cannot be reached: its host refuses the connection" in ended.err


async def test_what_an_archive_has_no_more_is_listed(mdm: Run, archive: FakeArchive) -> None:
    for seed in range(2):
        archive.add(made(seed=seed))
    await mdm("mkdir", "/pacs")
    await mdm("pacs", "register", "hospital", "--path", "/pacs")
    assert (await mdm("pacs", "vanished", "hospital")).text == ""
    archive.files.popitem()
    ended = await mdm("pacs", "stage", "/pacs")
    assert "the archive that it was registered at has it no more" in ended.err
    ended = await mdm("pacs", "vanished", "hospital")
    (path,) = ended.text.splitlines()
    (told,) = (await mdm("stat", path, "--json")).json
    assert "LOST" in told.values()
    assert (await mdm("pacs", "vanished", "hospital", "--json")).json == {"files": [path]}


async def test_what_is_rejected_is_listed_with_its_notes(mdm: Run, hospital: Server) -> None:
    assert (await mdm("pacs", "rejected")).text == "nothing is hidden by a rejection note\n"
    taken = image()
    await hospital.put("/it.dcm", taken.file)
    await hospital.put("/note.dcm", note([taken], SAFETY).file)
    ended = await mdm("ls", "/it.dcm")
    assert ended.code != 0
    assert "it was rejected: Rejected for Patient Safety Reasons (113037, DCM)" in ended.err
    ended = await mdm("pacs", "rejected")
    assert (ended.code, ended.err) == (0, "")
    (line,) = [line.split() for line in ended.text.splitlines() if "/it.dcm" in line]
    assert line[-1] == "/note.dcm"
    found = (await mdm("pacs", "rejected", "--json")).json["files"]
    assert {one["path"]: one["code"] for one in found} == {"/it.dcm": SAFETY, "/note.dcm": SAFETY}
    assert (await mdm("rm", "/note.dcm")).code == 0
    assert (await mdm("ls", "/it.dcm")).code == 0
