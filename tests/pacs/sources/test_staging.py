"""Files that an archive has are waited for, by whoever asks and however; what is not the right file is not taken."""

import asyncio
import base64
import io
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any
from uuid import UUID

import crypt4gh.lib
import pydicom
import pytest
from aiohttp import web

from mdm_async import Client
from mdm_async.catalog.grants import waiting
from mdm_async.catalog.namespace import paths
from mdm_async.catalog.work import images_to_stage
from mdm_async.crypt4gh.exchange import new_private_key, public_key
from mdm_async.dicom.sop_common import sop_common
from mdm_async.errors import Lost
from mdm_async.images.names.path_template import PathTemplate
from mdm_async.images.transfers import filing
from mdm_async.images.transfers.filing import FileAsk, Landing
from mdm_async.images.transfers.staging import Line
from mdm_async.names import AUTHENTICATED, Caller, Lfn, Scope, parse_rights
from mdm_async.pacs.sources import registering
from mdm_async.pacs.sources import staging as pauses
from mdm_async.postgres.database import Connection
from tests.conftest import Server, running_server
from tests.faults.conditions import until
from tests.pacs.sources.conftest import DIRECTORY
from tests.pacs.sources.fake_archive import Answer, FakeArchive, fake_archive, multipart, never
from tests.patience import PATIENCE
from tests.postgres.for_tests import PostgresForTests
from tests.web.dicomweb.conftest import image
from tests.web.made_images import made
from tests.web.test_profiles import add, ask

TEMPLATE = "{patient}/{instance}.dcm"


async def registered(server: Server, **more: Any) -> list[str]:
    """What the archive has, as it is named."""
    begin: int | None = 0
    while begin is not None:
        reply = await server.call(
            "POST",
            "/admin/v1/archives/hospital/register",
            token=server.admin_token,
            json={"path": DIRECTORY, "template": "{instance}.dcm", "begin": begin} | more,
        )
        assert reply.status == 200, reply.body
        assert not reply.tree["failed"], reply.tree
        begin = reply.tree["next"]
    (listed,) = (await server.srm("ls", surls=[DIRECTORY]))["files"]
    return [child["path"] for child in listed.get("subPaths", [])]


async def ended(server: Server, request: str, operation: str = "Get", **more: Any) -> list[dict[str, Any]]:
    async with asyncio.timeout(PATIENCE):
        while True:
            tree = await server.srm(f"statusOf{operation}Request", requestToken=request, **more)
            if tree["returnStatus"]["statusCode"] not in ("SRM_REQUEST_QUEUED", "SRM_REQUEST_INPROGRESS"):
                files: list[dict[str, Any]] = tree["files"]
                return files
            await asyncio.sleep(0.02)


async def queue(server: Server) -> int:
    async with server.house.database.acquire() as db:
        return int(await db.fetchval("select count(*) from images_to_stage") or 0)


async def emptied(server: Server) -> None:
    """Whoever waits is answered before their place in the line is given up."""

    async def is_empty() -> bool:
        return await queue(server) == 0

    await until(is_empty)


@pytest.mark.parametrize(
    ("changed", "why"),
    [
        ("SOPInstanceUID", "another instance"),
        ("SeriesInstanceUID", "another instance"),
        ("StudyInstanceUID", "another instance"),
    ],
)
async def test_another_instance_than_the_one_registered_is_refused(
    archive: FakeArchive, staging: Server, changed: str, why: str
) -> None:
    image = archive.add(made(seed=1))
    setattr(image, changed, "1.2.3")
    written = io.BytesIO()
    image.save_as(written, enforce_file_format=True)
    other = written.getvalue()

    async def wrong(request: web.Request) -> web.StreamResponse:
        return await multipart(request, other)

    archive.instead = wrong
    (path,) = await registered(staging)
    tree = await staging.srm("prepareToGet", files=[{"surl": path}])
    (line,) = await ended(staging, tree["requestToken"])
    assert line["status"]["statusCode"] == "SRM_FAILURE"
    assert why in line["status"]["explanation"]
    assert (await staging.srm("ls", surls=[path]))["files"][0]["fileLocality"] == "NEARLINE"
    await emptied(staging)
    async with staging.house.database.acquire() as db:
        assert not await db.fetchval("select count(*) from parts")
        assert not await db.fetchval("select count(*) from blobs where state <> 'doomed'")
    # And once the archive is right, it is taken.
    archive.instead = None
    tree = await staging.srm("prepareToGet", files=[{"surl": path}])
    (line,) = await ended(staging, tree["requestToken"])
    assert line["status"]["statusCode"] == "SRM_FILE_PINNED"


@pytest.mark.parametrize("template", ["{patient}/{instance}.dcm", "{instance}.dcm"])
async def test_a_file_of_a_patient_who_was_merged_is_brought_under_the_new_ones_name(
    archive: FakeArchive, staging: Server, template: str
) -> None:
    image = archive.add(made(seed=1))
    begun = await begin(staging, template)
    image.PatientID = "Q-merged"
    written = io.BytesIO()
    image.save_as(written, enforce_file_format=True)
    archive.add(written.getvalue())
    tree = await staging.srm("prepareToGet", files=[{"surl": begun}])
    (line,) = await ended(staging, tree["requestToken"])
    assert line["status"]["statusCode"] == "SRM_FILE_PINNED"
    assert await staging.get(line["transferURL"])
    async with staging.house.database.acquire() as db:
        (now,) = await paths.of_images(db, [await db.fetchval("select id from images")])
        row = await db.fetchrow("select details from audit where act = 'stage'")
    assert row["details"] == {"archive": "hospital", "outcome": "patient changed"}
    assert (now == begun) is ("patient" not in template)
    # Registered again it is there, under the name that it has by now.
    assert await begin(staging, template) == now
    # And what is registered of both of them already is told, not mixed.
    if now == begun:
        return
    archive.add(made(seed=2))
    other = sorted({*await names(staging, template)} - {now})[0]
    second = pydicom.dcmread(io.BytesIO(made(seed=2)))
    second.PatientID = "Q-merged"
    written = io.BytesIO()
    second.save_as(written, enforce_file_format=True)
    archive.add(written.getvalue())
    assert len(await names(staging, template)) == 3
    tree = await staging.srm("prepareToGet", files=[{"surl": other}])
    (line,) = await ended(staging, tree["requestToken"])
    assert line["status"]["statusCode"] == "SRM_FAILURE"
    assert "another patient's by now" in line["status"]["explanation"]


async def test_a_merged_patients_file_is_renamed_whatever_is_shown_by_default_by_now(
    archive: FakeArchive, staging: Server
) -> None:
    patients: dict[str, str] = {}
    for patient in ("Q-first", "Q-second"):
        archive.add(image(len(patients), PatientID=patient))
        (patients[patient],) = {*await names(staging, TEMPLATE)} - {*patients.values()}
    await add(staging, 'name = "other"\nproject = "another"\n')
    await ask(staging, "other", "apply", 202, surl=DIRECTORY, default=True)
    merged = archive.add(image(0, PatientID="Q-second"))
    tree = await staging.srm("prepareToGet", files=[{"surl": patients["Q-first"]}], view="other")
    (line,) = await ended(staging, tree["requestToken"])
    assert line["status"]["statusCode"] == "SRM_FILE_PINNED", (line, merged.PatientID)
    async with staging.house.database.acquire() as db:
        now = await paths.of_images(db, [row["id"] for row in await db.fetch("select id from images")])
    assert {one.rpartition("/")[0] for one in now} == {patients["Q-second"].rpartition("/")[0]}


async def names(server: Server, template: str) -> list[str]:
    """Of all that is registered, once all that the archive has is."""
    reply = await server.call(
        "POST",
        "/admin/v1/archives/hospital/register",
        token=server.admin_token,
        json={"path": DIRECTORY, "template": template, "begin": 0},
    )
    assert not reply.tree["failed"], reply.tree
    async with server.house.database.acquire() as db:
        return await paths.of_images(db, [row["id"] for row in await db.fetch("select id from images")])


async def begin(server: Server, template: str) -> str:
    (name,) = await names(server, template)
    return name


async def test_a_file_that_is_only_to_be_online_is_brought_too(archive: FakeArchive, staging: Server) -> None:
    archive.add(made(seed=1))
    (path,) = await registered(staging)
    tree = await staging.srm("bringOnline", files=[{"surl": path}])
    assert tree["returnStatus"]["statusCode"] == "SRM_REQUEST_QUEUED"
    assert tree["files"][0]["estimatedWaitTime"] >= 1
    (line,) = await ended(staging, tree["requestToken"], "BringOnline")
    assert line["status"]["statusCode"] == "SRM_SUCCESS"
    assert (await staging.srm("ls", surls=[path]))["files"][0]["fileLocality"] == "ONLINE_AND_NEARLINE"
    again = await staging.srm("bringOnline", files=[{"surl": path}])
    assert again["returnStatus"]["statusCode"] == "SRM_SUCCESS"


async def test_a_transfer_url_that_waited_ends_with_the_credential_that_it_was_asked_with(
    archive: FakeArchive, staging: Server
) -> None:
    archive.add(made(seed=1))
    (path,) = await registered(staging)
    answer = await staging.call(
        "POST",
        "/dav/",
        token=await staging.token("rlx"),
        json={"validity": "PT1H"},
        headers={"Content-Type": "application/macaroon-request"},
    )
    macaroon = answer.tree["macaroon"]
    archive.instead = never
    files = [{"surl": path}]
    tree = await staging.srm("prepareToGet", token=macaroon, files=files, desiredPinLifeTime=3600)
    assert tree["returnStatus"]["statusCode"] == "SRM_REQUEST_QUEUED"
    request = tree["requestToken"]
    async with staging.house.database.acquire() as db:
        # As if it had waited half of that.
        await db.execute("update grants set until = until - 1800 where request = $1", UUID(request))
    archive.instead = None
    (line,) = await ended(staging, request, token=macaroon)
    assert line["status"]["statusCode"] == "SRM_FILE_PINNED"
    async with staging.house.database.acquire() as db:
        row = await db.fetchrow(
            "select extract(epoch from expires)::float8 as expires, until from grants where request = $1",
            UUID(request),
        )
    assert row is not None
    assert row["expires"] == pytest.approx(row["until"], abs=0.01)


async def test_a_sealed_transfer_url_opens_for_its_recipient_once_the_file_is_here(
    archive: FakeArchive, staging: Server
) -> None:
    file = made(seed=1, pixels=300_000)
    archive.add(file)
    (path,) = await registered(staging)
    private = new_private_key()
    reader = await staging.token("rilx", views=["basic", "identified"])
    tree = await staging.srm(
        "prepareToGet",
        token=reader,
        files=[{"surl": f"/@identified{path}"}],
        recipient=base64.b64encode(public_key(private)).decode(),
    )
    assert tree["returnStatus"]["statusCode"] == "SRM_REQUEST_QUEUED"
    (line,) = await ended(staging, tree["requestToken"], token=reader)
    opened = io.BytesIO()
    crypt4gh.lib.decrypt([(0, private, None)], io.BytesIO(await staging.get(line["transferURL"])), opened)
    assert opened.getvalue() == file


async def test_the_client_waits_and_gets_the_file_clear_and_sealed(
    archive: FakeArchive, staging: Server, tmp_path: Path
) -> None:
    files = {
        path: file for file in (made(seed=1), made(seed=2)) if (path := str(archive.add(file).SOPInstanceUID))
    }
    clear, sealed = await registered(staging)
    token = await staging.token("rilx", views=["basic", "identified"])
    async with Client(staging.url, token) as client:
        got = await client.get(clear, tmp_path / "clear.dcm")
        assert got.view == "basic"
        await client.get(sealed, tmp_path / "sealed.dcm", view="identified", sealed=True)
    assert (tmp_path / "sealed.dcm").read_bytes() in files.values()


async def test_the_client_tells_what_is_lost(archive: FakeArchive, staging: Server, tmp_path: Path) -> None:
    archive.add(made(seed=1))
    (path,) = await registered(staging)
    archive.files.clear()
    async with Client(staging.url, staging.admin_token) as client:
        with pytest.raises(Lost):
            await client.get(path, tmp_path / "lost.dcm")


async def test_what_nobody_waits_for_any_more_is_not_fetched(archive: FakeArchive, staging: Server) -> None:
    archive.add(made(seed=1))
    archive.add(made(seed=2))
    archive.instead = never
    staging.house.archives.named("hospital").line.at_once = 1
    paths = await registered(staging)
    asked = [await staging.srm("prepareToGet", files=[{"surl": path}]) for path in paths]
    for tree in asked:
        await staging.srm("abortRequest", requestToken=tree["requestToken"])
    archive.instead = None
    before = [one for one in archive.asked if "/instances/" in one]
    async with asyncio.timeout(PATIENCE):
        while await queue(staging):  # noqa: ASYNC110
            await asyncio.sleep(0.02)
    after = [one for one in archive.asked if "/instances/" in one]
    # One may have been on its way already.
    assert len({*before, *after}) <= 1


async def test_who_comes_when_nobody_waited_any_more_has_the_file_brought(
    archive: FakeArchive, staging: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    archive.add(made(seed=1))
    (path,) = await registered(staging)
    first = asyncio.get_running_loop().create_future()
    second: list[str] = []
    anybody = waiting.anybody

    async def meanwhile(db: Connection, image: UUID) -> bool:
        if not second:
            await staging.srm("abortRequest", requestToken=await first)
        waits = await anybody(db, image)
        if not second:
            tree = await staging.srm("bringOnline", files=[{"surl": path}])
            second.append(tree["requestToken"])
        return waits

    monkeypatch.setattr(waiting, "anybody", meanwhile)
    first.set_result((await staging.srm("bringOnline", files=[{"surl": path}]))["requestToken"])
    async with asyncio.timeout(PATIENCE):
        while not second:  # noqa: ASYNC110
            await asyncio.sleep(0.02)
    (line,) = await ended(staging, second[0], "BringOnline")
    assert line["status"]["statusCode"] == "SRM_SUCCESS"
    assert (await staging.srm("ls", surls=[path]))["files"][0]["fileLocality"] == "ONLINE_AND_NEARLINE"


async def cut_short(request: web.Request) -> web.StreamResponse:
    return await multipart(request, made(seed=1)[:-1000])


async def failing(_: web.Request) -> web.StreamResponse:
    return web.Response(status=500)


@pytest.mark.parametrize("bad", [cut_short, failing])
async def test_one_file_that_the_archive_does_not_give_is_told_so_and_costs_others_nothing(
    archive: FakeArchive, staging: Server, bad: Answer
) -> None:
    archive.add(made(seed=1))
    (path,) = await registered(staging)
    line = staging.house.archives.named("hospital").line
    archive.instead = bad
    tree = await staging.srm("prepareToGet", files=[{"surl": path}])
    hurrying = asyncio.create_task(_hurry(staging))
    (told,) = await ended(staging, tree["requestToken"])
    hurrying.cancel()
    assert told["status"]["statusCode"] == "SRM_FAILURE"
    assert not line.away_for
    assert (await staging.srm("ls", surls=[path]))["files"][0]["fileLocality"] == "NEARLINE"


async def _hurry(server: Server) -> None:
    """What failed is tried again at once."""
    while True:
        async with server.house.database.acquire() as db:
            await images_to_stage.IMAGES_TO_STAGE.hurry(db, 10)
        await asyncio.sleep(0.05)


async def test_who_waits_for_an_archive_that_is_taken_out_of_the_settings_is_told_so(
    archive: FakeArchive, postgres: PostgresForTests, migrated: str, tmp_path: Path
) -> None:
    archive.add(made(seed=1))
    archive.instead = never
    dsn = await postgres.fresh_database(migrated)
    sources = [{"name": "hospital", "dicomweb": archive.url}]
    async with running_server(tmp_path / "data", dsn, pacs={"sources": sources}) as server:
        await server.srm("mkdir", surl=DIRECTORY)
        (path,) = await registered(server)
        request = (await server.srm("prepareToGet", files=[{"surl": path}]))["requestToken"]
        assert await queue(server) == 1
    async with running_server(tmp_path / "data", dsn) as server:
        (line,) = await ended(server, request)
        assert line["status"]["statusCode"] == "SRM_FILE_UNAVAILABLE"
        assert "not asked any more" in line["status"]["explanation"]
        async with asyncio.timeout(PATIENCE):
            while await queue(server):  # noqa: ASYNC110
                await asyncio.sleep(0.02)


async def test_an_archive_that_hangs_costs_another_nothing(
    archive: FakeArchive, postgres: PostgresForTests, migrated: str, tmp_path: Path
) -> None:
    async with fake_archive() as hanging:
        sources = [
            {"name": "hospital", "dicomweb": archive.url},
            {"name": "hanging", "dicomweb": hanging.url, "max_associations": 2},
        ]
        dsn = await postgres.fresh_database(migrated)
        async with running_server(tmp_path / "data", dsn, pacs={"sources": sources}) as server:
            await server.srm("mkdir", surl=DIRECTORY)
            archive.add(made(seed=1))
            for seed in range(2, 12):
                hanging.add(made(seed=seed))
            (here,) = await registered(server)
            reply = await server.call(
                "POST",
                "/admin/v1/archives/hanging/register",
                token=server.admin_token,
                json={"path": DIRECTORY, "template": "{instance}.dcm"},
            )
            assert reply.tree["registered"] == 10
            hanging.instead = never
            (listed,) = (await server.srm("ls", surls=[DIRECTORY]))["files"]
            others = [child["path"] for child in listed["subPaths"] if child["path"] != here]
            await server.srm("prepareToGet", files=[{"surl": path} for path in others])
            tree = await server.srm("prepareToGet", files=[{"surl": here}])
            (line,) = await ended(server, tree["requestToken"])
            assert line["status"]["statusCode"] == "SRM_FILE_PINNED"
            assert hanging.most <= 2


async def test_an_archive_that_comes_and_goes_gives_all_its_images_and_is_not_asked_without_end(
    archive: FakeArchive, staging: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pauses, "_FIRST_PAUSE", 0.05)
    goes = False

    async def every_other(request: web.Request) -> web.StreamResponse:
        nonlocal goes
        goes = not goes
        if goes:
            assert request.transport is not None
            request.transport.close()
            return web.Response()
        return await (archive._series if "instances" not in request.path else archive._instance)(request)

    files = [made(seed=seed) for seed in range(6)]
    for file in files:
        archive.add(file)
    paths = await registered(staging)
    archive.instead = every_other
    archive.asked.clear()
    tree = await staging.srm("prepareToGet", files=[{"surl": path} for path in paths])
    lines = await ended(staging, tree["requestToken"])
    assert {one["status"]["statusCode"] for one in lines} == {"SRM_FILE_PINNED"}
    got = {pydicom.dcmread(io.BytesIO(await staging.get(one["transferURL"]))).PixelData for one in lines}
    assert got == {pydicom.dcmread(io.BytesIO(file)).PixelData for file in files}
    assert len(archive.asked) <= 3 * len(files)
    told = await staging.call("GET", "/admin/v1/archives", token=staging.admin_token)
    assert [one["answers"] for one in told.tree["archives"]] == [True]


async def test_registering_again_adds_what_is_new(archive: FakeArchive, staging: Server) -> None:
    for seed in range(3):
        archive.add(made(seed=seed))
    first = await registered(staging)
    archive.add(made(seed=3))
    assert set(first) < set(await registered(staging))


@pytest.mark.parametrize("told", [0, 1, 2, 3, 7])
async def test_instances_that_an_archive_does_not_count_are_registered_too(
    archive: FakeArchive, staging: Server, monkeypatch: pytest.MonkeyPatch, told: int
) -> None:
    monkeypatch.setattr(registering, "_INSTANCES", 2)
    uids = {"StudyInstanceUID": "1.2.3.7", "SeriesInstanceUID": "1.2.3.7.1"}
    for seed in range(3):
        archive.add(image(seed, SOPInstanceUID=f"1.2.3.7.1.{seed}", **uids))
    archive.counts = told
    assert len(await registered(staging)) == 3


async def test_only_administrators_ask_an_archive(archive: FakeArchive, staging: Server) -> None:
    token = await staging.token("rwlxgs")
    for verb, body in (
        ("echo", {}),
        ("find", {}),
        ("count", {}),
        ("register", {"path": DIRECTORY}),
    ):
        for name in ("hospital", "clinic"):  # and nobody else learns which there are
            reply = await staging.call("POST", f"/admin/v1/archives/{name}/{verb}", token=token, json=body)
            assert reply.status == 403, verb
    assert (await staging.call("GET", "/admin/v1/archives", token=token)).status == 403
    assert archive.asked == []


async def test_who_is_in_an_archive_only_those_learn_who_may_and_what_they_asked_for_is_audited(
    archive: FakeArchive, staging: Server
) -> None:
    study = str(archive.add(made(seed=4711)).StudyInstanceUID)
    mighty = await staging.token("prwilxgs", views=["basic", "identified"])

    async def ask(verb: str, token: str, **wanted: str) -> int:
        body = wanted if verb == "count" else {"path": DIRECTORY} | wanted
        reply = await staging.call("POST", f"/admin/v1/archives/hospital/{verb}", token=token, json=body)
        return reply.status

    by_somebody = ({"query": "PatientName=DOE*"}, {"query": "Modality=CT&PatientID=4711"}, {"study": study})
    for verb in ("count", "register"):
        for wanted in by_somebody:
            assert await ask(verb, staging.admin_token, **wanted) == 403, wanted
    assert archive.asked == []
    for verb in ("count", "register"):
        for wanted in by_somebody:
            assert await ask(verb, mighty, **wanted) == 200, wanted
        assert await ask(verb, staging.admin_token, query="Modality=CT&StudyDate=20240101-") == 200
        assert await ask(verb, staging.admin_token) == 200
    async with staging.house.database.acquire() as db:
        rows = await db.fetch("select act, details from audit where act like 'pacs %' order by id")
    asked = [
        ["PatientName"],
        ["Modality", "PatientID"],
        ["StudyInstanceUID"],
        ["Modality", "StudyDate"],
        [],
    ]
    assert [(row["act"], row["details"]) for row in rows] == [
        (f"pacs {verb}", {"archive": "hospital", "keywords": keywords})
        for verb in ("count", "register")
        for keywords in asked
    ]


@pytest.mark.parametrize(
    "asked",
    [
        {"study": "1.2.*"},
        {"query": "StudyInstanceUID=1.2.?"},
        {"query": "limit=5"},
        {"query": "Modality"},
        {"query": "Modality=CT&includefield=all"},
        {"query": "PatientID=a\\b"},
    ],
)
async def test_a_query_that_would_ask_for_something_else_is_refused(
    archive: FakeArchive, staging: Server, asked: dict[str, str]
) -> None:
    reply = await staging.call(
        "POST",
        "/admin/v1/archives/hospital/register",
        token=staging.admin_token,
        json={"path": DIRECTORY} | asked,
    )
    assert reply.status == 400, reply.body
    assert archive.asked == []


async def test_what_the_archive_says_is_found_by_who_may_identify_it(
    archive: FakeArchive, staging: Server
) -> None:
    archive.add(made(seed=4711))
    (path,) = await registered(staging)
    for rights, views, found in (("rlxgi", ["identified"], [path]), ("rlxg", ["basic"], [])):
        async with Client(staging.url, await staging.token(rights, views=views)) as client:
            matches = client.meta.find('PatientID = "made-4711"', view=views[0])
            assert [one.path async for one in matches] == found


@pytest.mark.parametrize(
    ("charset", "patient", "issuer"),
    [
        ("ISO_IR 100", "P-7", None),
        ("ISO_IR 100", "Mü-7", "NORTH"),
        ("ISO_IR 192", "Mü-7", None),
        ("ISO_IR 144", "Юг-7", None),
    ],
)
async def test_a_registered_image_has_the_name_that_it_has_when_it_is_pushed(
    archive: FakeArchive, staging: Server, charset: str, patient: str, issuer: str | None
) -> None:
    image, house = pydicom.dcmread(io.BytesIO(made(seed=1))), staging.house
    image.SpecificCharacterSet, image.PatientID = charset, patient
    written = io.BytesIO()
    image.save_as(written, enforce_file_format=True)
    file = written.getvalue()
    archive.add(file)

    async def body() -> AsyncIterator[bytes]:
        yield file

    template = "{patient}/{study}/{series}/{instance}-{accession}.dcm"
    known = dict(house.archives.by_name)
    house.archives = replace(
        house.archives, by_name=known | {"hospital": replace(known["hospital"], issuer=issuer)}
    )
    ask = FileAsk(
        Landing(Lfn(DIRECTORY), PathTemplate(template), issuer), sop_common(file), "test", filing.PUSHED
    )
    scope = Scope(Lfn(DIRECTORY), parse_rights("wlx"))
    device = Caller("user:ct", frozenset({"user:ct", AUTHENTICATED}), (scope,))
    await filing.file(house.intake, house.judge, house.admission, device, ask, body(), lambda: None)
    page = await staging.call(
        "POST",
        "/admin/v1/archives/hospital/register",
        token=staging.admin_token,
        json={"path": DIRECTORY, "template": template},
    )
    assert (page.tree["registered"], page.tree["there"]) == (0, 1), page.tree


async def test_the_estimate_is_of_the_line_of_what_images_took_and_of_the_pause() -> None:
    line = Line("hospital", at_once=2)
    assert line.wait(0) == 1
    for _ in range(50):
        line.took(4.0)
    assert (line.wait(0), line.wait(1), line.wait(2), line.wait(9)) == (4, 4, 8, 20)
    line.away_until = asyncio.get_running_loop().time() + 30
    assert line.wait(0) in (33, 34)


async def test_one_file_that_the_archive_has_no_time_for_is_left_alone_as_long_as_it_says_and_no_other(
    archive: FakeArchive, staging: Server
) -> None:
    for seed in range(3):
        archive.add(made(seed=seed))
    archive.together = failing
    asked: list[str] = []

    async def busy_with_one(request: web.Request) -> web.StreamResponse:
        asked.append(request.path.rpartition("/")[2])
        if asked[-1] == asked[0]:
            return web.Response(status=503, headers={"Retry-After": "3600"})
        return await multipart(request, archive.files[asked[-1]])

    archive.instead = busy_with_one
    paths = await registered(staging)
    await staging.srm("bringOnline", files=[{"surl": path} for path in paths])

    async def one_is_left() -> bool:
        return await queue(staging) == 1

    await until(one_is_left)
    assert asked.count(asked[0]) == 1
    assert not staging.house.archives.named("hospital").line.away_for


async def test_an_archive_that_has_no_time_again_and_again_is_left_alone(
    archive: FakeArchive, staging: Server
) -> None:
    for seed in range(3):
        archive.add(made(seed=seed))

    async def busy(_: web.Request) -> web.StreamResponse:
        return web.Response(status=429, headers={"Retry-After": "600"})

    archive.together, archive.instead = failing, busy
    paths = await registered(staging)
    line = staging.house.archives.named("hospital").line
    tree = await staging.srm("bringOnline", files=[{"surl": path} for path in paths])

    async def is_away() -> bool:
        return bool(line.away_for)

    await until(is_away)
    told = await staging.srm("statusOfBringOnlineRequest", requestToken=tree["requestToken"])
    assert {one["status"]["explanation"] for one in told["files"]} == {"its archive does not answer"}
    assert line.away_until - asyncio.get_running_loop().time() > 500
    assert line.wait(0) > 500
