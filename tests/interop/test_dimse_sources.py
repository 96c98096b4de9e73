"""An archive that speaks DIMSE: searched, registered at, fetched from by C-GET and C-MOVE. Against a real Orthanc."""

import io
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pydicom
import pytest
from pydicom.uid import generate_uid

from mdm_async.pacs.retrieval.archive import DimseSource
from tests import dcmqrscp
from tests.conftest import Server, running_server
from tests.faults.conditions import until
from tests.interop.archive_verbs import ID, NAME, admin, brought, image_of, locality, registered
from tests.orthanc import TITLE, Orthanc, running_orthanc
from tests.pacs.devices import image
from tests.postgres.for_tests import PostgresForTests
from tests.web.test_privacy import captured_log

OWN = "MDM"


@asynccontextmanager
async def serving(
    postgres: PostgresForTests,
    migrated: str,
    folder: Path,
    orthanc: Orthanc,
    others: Sequence[dict[str, Any]] = (),
    **more: Any,
) -> AsyncIterator[Server]:
    source = {"name": "hospital", "ae": TITLE, "host": "127.0.0.1", "port": orthanc.dicom_port} | more
    dsn = await postgres.fresh_database(migrated)
    pacs = {"port": 0, "ae_title": OWN, "sources": [source, *others]}
    async with running_server(folder / "data", dsn, pacs=pacs, delivery={"identified": "clear"}) as server:
        assert server.house.pacs_port is not None
        await orthanc.know(OWN, server.house.pacs_port)
        yield server


def compressed(study: str) -> bytes:
    """One that would be another if it were decompressed."""
    made = pydicom.dcmread(io.BytesIO(image("JPEG2000.dcm").file))
    made.PatientName, made.PatientID, made.StudyInstanceUID = NAME, ID, study
    written = io.BytesIO()
    made.save_as(written, enforce_file_format=True)
    return written.getvalue()


def told_apart(files: list[bytes]) -> dict[str, tuple[str, pydicom.Dataset]]:
    """Transfer syntax and attributes, by instance: dcmtk, and so Orthanc, writes a data set's lengths anew."""
    read = [pydicom.dcmread(io.BytesIO(one)) for one in files]
    for one in read:
        one.pop(0xFFFCFFFC, None)
    return {one.SOPInstanceUID: (one.file_meta.TransferSyntaxUID, pydicom.Dataset(one)) for one in read}


@pytest.mark.parametrize("retrieve", ["C-GET", "C-MOVE"])
async def test_a_study_is_found_registered_and_brought_as_it_is_stored(
    orthanc: Orthanc, postgres: PostgresForTests, migrated: str, tmp_path: Path, retrieve: str
) -> None:
    study = generate_uid()
    images = [image_of(study, 1), image_of(study, 2), compressed(study)]
    stored = [await orthanc.file(await orthanc.store(one)) for one in images]
    with captured_log() as log:
        async with serving(postgres, migrated, tmp_path, orthanc, retrieve=retrieve) as server:
            assert (await admin(server, "hospital/echo"))["answers"]
            (one,) = (await admin(server, "hospital/find", study=study, query=f"PatientID={ID}"))["studies"]
            assert (one["PatientName"], one["StudyInstanceUID"]) == (NAME, study)
            assert (await admin(server, "hospital/count", study=study))["studies"] == 1
            found = await registered(server, "/pacs/hospital", study=study)
            assert len(found) == 3
            again = await admin(server, "hospital/register", path="/pacs/hospital", study=study)
            assert (again["registered"], again["there"]) == (0, 3)
            reader = await server.token("rilgx", views=["basic", "identified"])
            files = [{"surl": f"/@identified{path}"} for path in found]
            tree = await server.srm("prepareToGet", token=reader, files=files)
            lines = await brought(server, reader, tree["requestToken"])
            assert {line["status"]["statusCode"] for line in lines} == {"SRM_FILE_PINNED"}, lines
            got = [await server.get(line["transferURL"]) for line in lines]
            assert told_apart(got) == told_apart(stored)
            assert await files_in(server, "/pacs/hospital") == 3
    told = log.getvalue()
    for word in ("Zebedaeus", ID, study):
        assert word not in told


async def files_in(server: Server, directory: str) -> int:
    """All that are below, pushed ones too."""
    async with server.house.database.acquire() as db:
        return int(await db.fetchval("select count(*) from entries where image is not null") or 0)


async def test_an_archive_that_is_frozen_and_killed_is_waited_for_and_costs_another_nothing(
    orthanc: Orthanc, postgres: PostgresForTests, migrated: str, tmp_path: Path
) -> None:
    study, other = generate_uid(), generate_uid()
    (tmp_path / "archive").mkdir()
    async with running_orthanc(tmp_path / "archive") as away:
        for number in range(2):
            await away.store(image_of(study, number, pixels=4_000_000))
        await orthanc.store(image_of(other, 3))
        here = {"name": "here", "ae": TITLE, "host": "127.0.0.1", "port": orthanc.dicom_port}
        async with serving(postgres, migrated, tmp_path, away, others=[here], max_associations=1) as server:
            first, second = await registered(server, "/pacs/hospital", study=study)
            (third,) = await registered(server, "/pacs/here", "here", study=other)
            source = server.house.archives.named("hospital").source
            assert isinstance(source, DimseSource)
            source.patience = 2.0
            reader = await server.token("rlx")

            async def prepared(path: str) -> str:
                tree = await server.srm("prepareToGet", token=reader, files=[{"surl": path}])
                return str(tree["requestToken"])

            async def comes(request: str) -> None:
                (line,) = await brought(server, reader, request)
                assert line["status"]["statusCode"] == "SRM_FILE_PINNED", line
                assert await server.get(line["transferURL"])

            async def is_away(path: str) -> bool:
                return await locality(server, path) == "UNAVAILABLE"

            away.freeze()
            frozen = await prepared(first)
            await until(lambda: is_away(first))
            await comes(await prepared(third))
            away.thaw()
            await comes(frozen)
            await away.kill()
            killed = await prepared(second)
            await until(lambda: is_away(second))
            await away.start()
            await comes(killed)


async def test_dcmtks_archive_that_tells_no_class_of_an_image_moves_it_here(
    postgres: PostgresForTests, migrated: str, tmp_path: Path, unused_tcp_port: int
) -> None:
    study = generate_uid()
    images = [image_of(study, 1), image_of(study, 2)]
    source = {"name": "hospital", "ae": dcmqrscp.TITLE, "host": "127.0.0.1", "port": unused_tcp_port}
    pacs = {"port": 0, "ae_title": OWN, "sources": [source | {"retrieve": "C-MOVE"}]}
    dsn = await postgres.fresh_database(migrated)
    async with running_server(tmp_path / "data", dsn, pacs=pacs, delivery={"identified": "clear"}) as server:
        assert server.house.pacs_port is not None
        moves_to = {OWN: server.house.pacs_port}
        async with dcmqrscp.running_dcmqrscp(tmp_path, unused_tcp_port, moves_to) as archive:
            await archive.store(images)
            found = await registered(server, "/pacs/hospital", study=study)
            reader = await server.token("rilgx", views=["identified"])
            files = [{"surl": f"/@identified{path}"} for path in found]
            tree = await server.srm("prepareToGet", token=reader, files=files)
            lines = await brought(server, reader, tree["requestToken"])
            assert {line["status"]["statusCode"] for line in lines} == {"SRM_FILE_PINNED"}, lines
            got = [await server.get(line["transferURL"]) for line in lines]
            assert told_apart(got) == told_apart(images)
