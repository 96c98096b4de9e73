"""Rejection notes (IHE RAD TF, Imaging Object Change Management): what they name is hidden from those who ask."""

from pathlib import Path

import pytest

from tests.conftest import Server
from tests.pacs.devices import Image, Pacs
from tests.pacs.notes import CODES, QUALITY, note
from tests.pacs.test_again import own


async def push(pacs: Pacs, folder: Path, *images: Image, ae: str = "STORESCU") -> None:
    code, said = await pacs.dcmtk("storescu", *(one.at(folder) for one in images), ae=ae)
    assert code == 0, said


async def studies(server: Server, lfn: str) -> int:
    """How many instances QIDO-RS finds at a name."""
    found = await server.call("GET", f"/dicom-web/@basic/instances?path={lfn}", token=server.admin_token)
    return len(found.tree) if found.status == 200 else 0


async def listed(server: Server, lfn: str) -> str:
    (told,) = (await server.srm("ls", expect=None, surls=[lfn]))["files"]
    return str(told["status"]["statusCode"])


@pytest.mark.parametrize("code", CODES)
async def test_what_a_pushed_note_names_is_hidden(pacs: Pacs, tmp_path: Path, code: int) -> None:
    server, before = pacs.server, await pacs.names()
    taken = own()
    kept = own(StudyInstanceUID=taken.read.StudyInstanceUID, PatientID=taken.read.PatientID)
    await push(pacs, tmp_path, taken)
    lfn = await pacs.new_name(before)
    await push(pacs, tmp_path, kept)
    other = await pacs.new_name([*before, lfn])
    assert await studies(server, lfn) == 1
    ticket = await server.prepare(lfn)

    await push(pacs, tmp_path, note([taken], code))
    assert await listed(server, lfn) == "SRM_INVALID_PATH"
    assert await listed(server, other) == "SRM_SUCCESS"
    assert (await studies(server, lfn), await studies(server, other)) == (0, 1)
    async with server.http.get(ticket["transferURL"]) as answer:
        assert answer.status in (404, 410)
    said = await pacs.new_name([*before, lfn, other])
    assert await listed(server, said) == ("SRM_SUCCESS" if code == QUALITY else "SRM_INVALID_PATH")

    # The note is taken back.
    await server.srm("rm", surls=[said])
    assert await listed(server, lfn) == "SRM_SUCCESS"
    assert await studies(server, lfn) == 1
