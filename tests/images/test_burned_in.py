"""Images that may show text are taken in, and their de-identified view is refused with what tells of the text."""

import pytest

from tests.conftest import Server
from tests.dicom.test_burned_in import EVIDENCE, KINDS, NO, SLIDE, picture


async def explained(server: Server, surl: str) -> str:
    refused = await server.srm("prepareToGet", expect=409, files=[{"surl": surl}])
    explanation: str = refused["files"][0]["status"]["explanation"]
    return explanation


async def test_every_sign_of_text_refuses_the_view(server: Server) -> None:
    for number, (name, (said, reason)) in enumerate(EVIDENCE.items()):
        data = picture(**said, SOPInstanceUID=f"1.2.3.{number}")
        surl = f"/burned-in-{number}.dcm"
        await server.put(surl, data)
        assert reason in await explained(server, surl), name
    await server.put("/burned-in-slice.dcm", picture(SOPInstanceUID="1.2.4"))
    assert await server.read("/burned-in-slice.dcm")


@pytest.mark.parametrize("kind", ["LABEL", "OVERVIEW"])
async def test_a_slides_label_is_refused_though_it_says_no(server: Server, kind: str) -> None:
    said = {"Modality": "SM", "BurnedInAnnotation": "NO", "ImageType": ["ORIGINAL", "PRIMARY", kind]}
    await server.put(f"/burned-in-{kind}.dcm", picture(SLIDE, **said, SOPInstanceUID=f"1.2.5.{len(kind)}"))
    assert "slide label" in await explained(server, f"/burned-in-{kind}.dcm")


async def test_a_known_kind_is_refused_though_it_says_no(server: Server) -> None:
    for number, (name, (said, kind)) in enumerate(KINDS.items()):
        surl = f"/known-kind-{number}.dcm"
        await server.put(surl, picture(**said, **NO, SOPInstanceUID=f"1.2.6.{number}"))
        assert f"{kind} (a known kind" in await explained(server, surl), name
