"""Images that a hospital's archive has: registered, listed, brought when they are asked for. Against a real Orthanc."""

import asyncio
import io
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pydicom
import pytest
from pydicom.uid import generate_uid

from tests.conftest import Server, running_server
from tests.interop.archive_verbs import ID, NAME, admin, brought, data_set, image_of, locality, registered
from tests.interop.rig import HOME, rig
from tests.orthanc import Orthanc, running_orthanc
from tests.pacs.sources.archive_proxy import proxied
from tests.patience import PATIENCE
from tests.postgres.for_tests import PostgresForTests
from tests.web.test_privacy import captured_log


@asynccontextmanager
async def serving(
    postgres: PostgresForTests, migrated: str, folder: Path, url: str, **more: Any
) -> AsyncIterator[Server]:
    source = {"name": "hospital", "dicomweb": url} | more
    dsn = await postgres.fresh_database(migrated)
    sections: dict[str, Any] = {"pacs": {"sources": [source]}, "delivery": {"identified": "clear"}}
    async with running_server(folder / "data", dsn, **sections) as server:
        yield server


async def test_a_study_is_registered_listed_and_brought_byte_for_byte(
    orthanc: Orthanc, postgres: PostgresForTests, migrated: str, tmp_path: Path
) -> None:
    study = generate_uid()
    stored = [await orthanc.file(await orthanc.store(image_of(study, number))) for number in range(3)]
    async with serving(postgres, migrated, tmp_path, orthanc.dicomweb) as server:
        assert (await admin(server, "hospital/echo"))["answers"]
        found = await registered(server, "/pacs/hospital", study=study)
        assert len(found) == 3
        again = await admin(server, "hospital/register", path="/pacs/hospital", study=study)
        assert (again["registered"], again["there"]) == (0, 3)

        reader = await server.token("rilgx", views=["basic", "identified"])
        for view in ("basic", "identified"):
            files = [{"surl": f"/@{view}{path}"} for path in found]
            tree = await server.srm("prepareToGet", token=reader, files=files)
            if view == "basic":
                assert tree["returnStatus"]["statusCode"] == "SRM_REQUEST_QUEUED"
                assert all(line["estimatedWaitTime"] >= 1 for line in tree["files"])
                assert not any("transferURL" in line for line in tree["files"])
            lines = await brought(server, reader, tree["requestToken"])
            assert {line["status"]["statusCode"] for line in lines} == {"SRM_FILE_PINNED"}
            got = [await server.get(line["transferURL"]) for line in lines]
            if view == "basic":
                assert not any(ID.encode() in one or b"Zebedaeus" in one for one in got)
            else:
                assert sorted(map(data_set, got)) == sorted(map(data_set, stored))
        (one,) = (await server.srm("ls", surls=[found[0]]))["files"]
        assert one["fileLocality"] == "ONLINE_AND_NEARLINE"
        assert one["viewState"] == "ready"


async def test_two_workers_who_ask_for_one_image_cause_one_fetch(
    orthanc: Orthanc, postgres: PostgresForTests, migrated: str, tmp_path: Path
) -> None:
    study = generate_uid()
    await orthanc.store(image_of(study, 7))
    async with (
        proxied(orthanc.port) as proxy,
        serving(postgres, migrated, tmp_path, f"http://127.0.0.1:{proxy.port}/dicom-web") as server,
    ):
        (path,) = await registered(server, "/pacs/hospital", study=study)
        proxy.open.clear()
        readers = [await server.token("rlx") for _ in range(8)]
        asked = [
            await server.srm("prepareToGet", token=one, files=[{"surl": path}, {"surl": path}])
            for one in readers
        ]
        proxy.open.set()
        for reader, tree in zip(readers, asked, strict=True):
            lines = await brought(server, reader, tree["requestToken"])
            assert {line["status"]["statusCode"] for line in lines} == {"SRM_FILE_PINNED"}
            for line in lines:
                assert await server.get(line["transferURL"])
        assert proxy.fetched == 1
        # And nobody more.
        again = await server.srm("prepareToGet", token=readers[0], files=[{"surl": path}])
        assert again["files"][0]["status"]["statusCode"] == "SRM_FILE_PINNED"
        assert proxy.fetched == 1


async def test_an_archive_that_is_frozen_cut_off_and_killed_in_the_middle_is_waited_for(
    postgres: PostgresForTests, migrated: str, tmp_path: Path
) -> None:
    study = generate_uid()
    (tmp_path / "archive").mkdir()
    async with (
        running_orthanc(tmp_path / "archive") as orthanc,
        proxied(orthanc.port) as proxy,
        serving(postgres, migrated, tmp_path, f"http://127.0.0.1:{proxy.port}/dicom-web") as server,
    ):
        for number in range(3):
            await orthanc.store(image_of(study, number, pixels=4_000_000))
        found = await registered(server, "/pacs/hospital", study=study)
        server.house.archives.named("hospital").source.patience = 1.0
        reader = await server.token("rlx")

        async def prepared(path: str) -> str:
            tree = await server.srm("prepareToGet", token=reader, files=[{"surl": path}])
            assert tree["returnStatus"]["statusCode"] == "SRM_REQUEST_QUEUED"
            return str(tree["requestToken"])

        async def waits(path: str) -> None:
            """Until it is known that the archive is away."""
            async with asyncio.timeout(PATIENCE):
                while await locality(server, path) != "UNAVAILABLE":  # noqa: ASYNC110
                    await asyncio.sleep(0.05)

        async def comes(request: str) -> None:
            (line,) = await brought(server, reader, request)
            assert line["status"]["statusCode"] == "SRM_FILE_PINNED", line
            assert await server.get(line["transferURL"])

        proxy.cut_after = 1_000_000
        await comes(await prepared(found[0]))
        assert proxy.fetched == 2
        orthanc.freeze()
        frozen = await prepared(found[1])
        await waits(found[1])
        orthanc.thaw()
        await comes(frozen)
        proxy.open.clear()
        killed = await prepared(found[2])
        await orthanc.kill()
        proxy.open.set()
        await waits(found[2])
        (line,) = (await server.call("GET", "/admin/v1/archives", token=server.admin_token)).tree["archives"]
        assert not line["answers"]
        assert line["waiting"] == 1
        await orthanc.start()
        await comes(killed)


async def test_what_the_archive_has_no_more_is_lost_and_told_so(
    orthanc: Orthanc, postgres: PostgresForTests, migrated: str, tmp_path: Path
) -> None:
    study = generate_uid()
    image = image_of(study, 1)
    kept = await orthanc.store(image)
    async with serving(postgres, migrated, tmp_path, orthanc.dicomweb) as server:
        (path,) = await registered(server, "/pacs/hospital", study=study)
        await orthanc.remove(kept)
        tree = await server.srm("prepareToGet", files=[{"surl": path}])
        (line,) = await brought(server, server.admin_token, tree["requestToken"])
        assert line["status"]["statusCode"] == "SRM_FILE_LOST"
        assert "transferURL" not in line
        assert await locality(server, path) == "LOST"
        await orthanc.store(image)
        await admin(server, "hospital/register", path="/pacs/hospital", study=study)
        assert await locality(server, path) == "NEARLINE"


async def test_what_vanished_is_marked_when_the_archive_is_registered_again(
    orthanc: Orthanc, postgres: PostgresForTests, migrated: str, tmp_path: Path
) -> None:
    studies = [generate_uid(), generate_uid()]
    images = [image_of(study, number) for number, study in enumerate((studies[0], *studies))]
    stored = [await orthanc.store(image) for image in images]
    async with serving(postgres, migrated, tmp_path, orthanc.dicomweb) as server:
        found = [
            path for study in studies for path in await registered(server, "/pacs/hospital", study=study)
        ]
        found = list(dict.fromkeys(found))

        async def marked() -> int:
            count = 0
            for study in studies:
                page = await admin(server, "hospital/register", path="/pacs/hospital", study=study)
                count += page["vanished"]
                gone = await admin(server, "hospital/vanished", study=study, since=page["at"])
                count += gone["vanished"]
            return count

        assert await marked() == 0
        for one in stored[1:]:  # one of two, and all of the other study
            await orthanc.remove(one)
        assert await marked() == 2
        at = sorted([await locality(server, path) for path in found])
        assert at == ["NEARLINE", "UNAVAILABLE", "UNAVAILABLE"]
        for image in images:
            await orthanc.store(image)
        assert await marked() == 0
        assert {await locality(server, path) for path in found} == {"NEARLINE"}


@pytest.fixture
def log_of_all() -> Iterator[io.StringIO]:
    with captured_log() as log:
        yield log


async def test_only_those_are_told_of_patients_who_may_identify_them_and_logs_and_audit_tell_nobody(
    orthanc: Orthanc,
    postgres: PostgresForTests,
    migrated: str,
    tmp_path: Path,
    log_of_all: io.StringIO,
) -> None:
    study = generate_uid()
    image = image_of(study, 3)
    await orthanc.store(image)
    uid = str(pydicom.dcmread(io.BytesIO(image)).SOPInstanceUID)
    async with (
        proxied(orthanc.port) as proxy,
        serving(postgres, migrated, tmp_path, f"http://127.0.0.1:{proxy.port}/dicom-web") as server,
    ):
        asked = {"query": f"PatientID={ID}", "study": study}
        refused = await server.call(
            "POST", "/admin/v1/archives/hospital/find", token=server.admin_token, json=asked
        )
        assert refused.status == 403
        assert study.encode() not in refused.body
        mighty = await server.token("prwilxgs", views=["basic", "identified"])
        shown = await server.call("POST", "/admin/v1/archives/hospital/find", token=mighty, json=asked)
        assert shown.status == 200, shown.body
        (one,) = shown.tree["studies"]
        assert (one["PatientName"], one["PatientID"], one["StudyInstanceUID"]) == (NAME, ID, study)
        (path,) = await registered(server, "/pacs/hospital", study=study)
        proxy.cut_after = 100_000  # so that the log has something to say
        tree = await server.srm("prepareToGet", files=[{"surl": path}])
        await brought(server, server.admin_token, tree["requestToken"])
        assert proxy.fetched == 2
        listed = str(await server.srm("ls", surls=[path]))
        async with server.house.database.acquire() as db:
            rows = await db.fetch("select a::text as text from audit a")
            rows += await db.fetch("select s::text as text from sources s")
            rows += await db.fetch("select i::text as text from images i")
            rows += await db.fetch("select g::text as text from grants g")
        told = "\n".join([path, listed, *(row["text"] for row in rows), log_of_all.getvalue()])
        assert "pacs find" in told
        assert "an archive is away" in told
        for word in ("Zebedaeus", "Quirinus", ID, "55019", study, uid):
            assert word not in told
        # The archive itself was told no more than UIDs and what was searched for.
        assert b"Zebedaeus" not in proxy.asked


async def test_gfal_copies_and_brings_online_what_the_archive_has(
    orthanc: Orthanc, postgres: PostgresForTests, migrated: str, tmp_path: Path
) -> None:
    study = generate_uid()
    for number in range(2):
        await orthanc.store(image_of(study, number))
    source = {"name": "hospital", "dicomweb": orthanc.dicomweb}
    dsn = await postgres.fresh_database(migrated)
    async with rig(tmp_path, dsn, pacs={"sources": [source]}) as tools:
        one, two = await registered(tools.server, f"{HOME}/hospital", study=study)
        copied = tmp_path / "one.dcm"
        await tools.well(
            "gfal-copy", "-D", "SRM PLUGIN:TURL_PROTOCOLS=https", tools.srm(one), f"file://{copied}"
        )
        assert pydicom.dcmread(copied).PatientID != ID
        staged = await tools.run("gfal-bringonline", "--polling-timeout", "30", tools.davs(two))
        assert "READY" in staged.out, str(staged)
        status = await tools.well("gfal-xattr", tools.davs(two), "user.status")
        assert status.out.strip() == "ONLINE_AND_NEARLINE"


async def test_sixteen_workers_who_prepare_studies_have_every_byte_and_each_image_is_stored_once(
    orthanc: Orthanc, postgres: PostgresForTests, migrated: str, tmp_path: Path
) -> None:
    studies = [generate_uid() for _ in range(4)]
    stored = {study: list[bytes]() for study in studies}
    for number, study in enumerate(studies * 10):
        stored[study].append(await orthanc.file(await orthanc.store(image_of(study, number, pixels=60_000))))
    async with (
        proxied(orthanc.port) as proxy,
        serving(
            postgres,
            migrated,
            tmp_path,
            f"http://127.0.0.1:{proxy.port}/dicom-web",
            max_associations=2,
        ) as server,
    ):
        found = {
            study: await registered(server, f"/pacs/s{number}", study=study)
            for number, study in enumerate(studies)
        }

        async def worker(study: str) -> None:
            token = await server.token("rilx", views=["identified"])
            files = [{"surl": f"/@identified{path}"} for path in found[study]]
            tree = await server.srm("prepareToGet", token=token, files=files)
            lines = await brought(server, token, tree["requestToken"], 120)
            got = [await server.get(line["transferURL"]) for line in lines]
            assert sorted(map(data_set, got)) == sorted(map(data_set, stored[study]))

        async with asyncio.TaskGroup() as workers:
            for study in studies * 4:
                workers.create_task(worker(study))
        # One whose kept connection Orthanc has just closed is asked for once more.
        assert 4 <= proxy.together <= 8
        assert proxy.fetched <= 4
        async with server.house.database.acquire() as db:
            assert await db.fetchval("select count(*) from audit where act = 'stage'") == 40
