"""What tests do with an archive's images: made, registered, waited for."""

import asyncio
import io
from typing import Any

import pydicom
from pydicom.uid import generate_uid

from tests.conftest import Server
from tests.web.made_images import made

NAME, ID = "Zebedaeus^Quirinus", "QZ-774411"


def image_of(study: str, number: int, *, pixels: int = 300_000) -> bytes:
    image = pydicom.dcmread(io.BytesIO(made(pixels=pixels, seed=number)))
    image.PatientName, image.PatientID, image.AccessionNumber = NAME, ID, "ACC-55019"
    image.StudyInstanceUID, image.SeriesInstanceUID = study, f"{study[:62]}.1"
    image.SOPInstanceUID = image.file_meta.MediaStorageSOPInstanceUID = generate_uid()
    written = io.BytesIO()
    image.save_as(written, enforce_file_format=True)
    return written.getvalue()


async def admin(server: Server, verb: str, **body: Any) -> dict[str, Any]:
    token = await server.token("prwilxgs", views=["basic", "identified"])
    reply = await server.call("POST", f"/admin/v1/archives/{verb}", token=token, json=body)
    assert reply.status == 200, reply.body
    tree: dict[str, Any] = reply.tree
    return tree


def data_set(file: bytes) -> bytes:
    """What comes after the file meta information."""
    group = int.from_bytes(file[140:144], "little")
    return file[144 + group :]


async def registered(server: Server, directory: str, archive: str = "hospital", **wanted: Any) -> list[str]:
    begin: int | None = 0
    await server.srm("mkdir", surl=directory, parents=True)
    while begin is not None:
        page = await admin(server, f"{archive}/register", path=directory, begin=begin, **wanted)
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


async def locality(server: Server, path: str) -> str:
    return str((await server.srm("ls", surls=[path]))["files"][0]["fileLocality"])


async def brought(server: Server, token: str, request: str, seconds: float = 60) -> list[dict[str, Any]]:
    """The files of a request, when none waits any more."""
    async with asyncio.timeout(seconds):
        while True:
            tree = await server.srm("statusOfGetRequest", token=token, requestToken=request)
            if tree["returnStatus"]["statusCode"] not in ("SRM_REQUEST_QUEUED", "SRM_REQUEST_INPROGRESS"):
                files: list[dict[str, Any]] = tree["files"]
                return files
            await asyncio.sleep(0.05)
