"""Videos over HTTP: the view has the cleaned stream, made while it came in or later from the stored original."""

import pytest

from tests.conftest import Server
from tests.dicom.made_videos import cleaned, stream, syntax
from tests.dicom.test_video_files import endoscopy
from tests.web.test_profiles import add, applied, explained, opened


@pytest.mark.parametrize("name", ["avc.mp4", "hevc.ts", "mpeg2.m2v"])
async def test_the_view_of_a_video_is_its_picture(server: Server, name: str) -> None:
    surl = f"{await server.directory()}/video.dcm"
    await server.put(surl, endoscopy(name))
    clean = cleaned(stream(name), syntax(name))
    assert clean in opened(await server.read(surl, view="basic")).PixelData


async def test_a_later_profile_cleans_the_stored_original(own_server: Server) -> None:
    server = own_server
    for name in ("avc.ts", "sound.mp4"):
        await server.put(f"/{name}", endoscopy(name, burned_in=None))
    await add(server, 'name = "video"\n[[pixels]]\nwhen = { Manufacturer = "ACME" }\ntrust = true\n')
    await applied(server, "video", "/")
    clean = cleaned(stream("avc.ts"), syntax("avc.ts"))
    assert clean in opened(await server.read("/avc.ts", view="video")).PixelData
    assert "an audio track in the video" in (await explained(server, "/sound.mp4", "video"))["explanation"]
