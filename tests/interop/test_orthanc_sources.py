"""Images that a hospital's archive has: registered, listed, brought when they are asked for. Against a real Orthanc."""

import asyncio
import io
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pydicom
import pytest
from pydicom.uid import generate_uid

from tests.conftest import Server, running_server
from tests.orthanc import Orthanc, running_orthanc
from tests.postgres.for_tests import PostgresForTests
from tests.web.made_images import made

NAME, ID = "Zebedaeus^Quirinus", "QZ-774411"


@pytest.fixture(scope="session")
async def orthanc(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Orthanc]:
    async with running_orthanc(tmp_path_factory.mktemp("orthanc")) as running:
        yield running


def image_of(study: str, number: int, *, pixels: int = 300_000) -> bytes:
    image = pydicom.dcmread(io.BytesIO(made(pixels=pixels, seed=number)))
    image.PatientName, image.PatientID, image.AccessionNumber = NAME, ID, "ACC-55019"
    image.StudyInstanceUID = study
    image.SOPInstanceUID = image.file_meta.MediaStorageSOPInstanceUID = generate_uid()
    written = io.BytesIO()
    image.save_as(written, enforce_file_format=True)
    return written.getvalue()


@asynccontextmanager
async def serving(
    postgres: PostgresForTests, migrated: str, folder: Path, url: str, **more: Any
) -> AsyncIterator[Server]:
    source = {"name": "hospital", "dicomweb": url} | more
    dsn = await postgres.fresh_database(migrated)
    sections: dict[str, Any] = {"pacs": {"sources": [source]}, "delivery": {"identified": "clear"}}
    async with running_server(folder / "data", dsn, **sections) as server:
        yield server


async def admin(server: Server, verb: str, **body: Any) -> dict[str, Any]:
    reply = await server.call("POST", f"/admin/v1/archives/{verb}", token=server.admin_token, json=body)
    assert reply.status == 200, reply.body
    tree: dict[str, Any] = reply.tree
    return tree


def data_set(file: bytes) -> bytes:
    """What comes after the file meta information."""
    group = int.from_bytes(file[140:144], "little")
    return file[144 + group :]


async def registered(server: Server, directory: str, **wanted: Any) -> list[str]:
    begin: int | None = 0
    await server.srm("mkdir", surl=directory, parents=True)
    while begin is not None:
        page = await admin(server, "hospital/register", path=directory, begin=begin, **wanted)
        assert not page["failed"], page
        begin = page["next"]
    return await files_below(server, directory)


async def files_below(server: Server, directory: str) -> list[str]:
    found: list[str] = []
    for child in (await server.srm("ls", surls=[directory]))["files"][0].get("subPaths", []):
        if child["type"] == "DIRECTORY":
            found += await files_below(server, child["path"])
        else:
            assert child["fileLocality"] == "NEARLINE"
            found.append(child["path"])
    return found


async def brought(server: Server, token: str, request: str, seconds: float = 60) -> list[dict[str, Any]]:
    """The files of a request, when none waits any more."""
    async with asyncio.timeout(seconds):
        while True:
            tree = await server.srm("statusOfGetRequest", token=token, requestToken=request)
            if tree["returnStatus"]["statusCode"] not in ("SRM_REQUEST_QUEUED", "SRM_REQUEST_INPROGRESS"):
                files: list[dict[str, Any]] = tree["files"]
                return files
            await asyncio.sleep(0.05)


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
