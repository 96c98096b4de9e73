"""A profile that blanks everything outside of ultrasound regions: in views made at ingest, and in those made later."""

import io

from pydicom import dcmread
from pydicom.uid import RLELossless

from tests.conftest import Server
from tests.dicom.test_ultrasound_regions import FRAMES, REFUSED, inside, region, scan, seen
from tests.web.test_profiles import add, applied, explained

TOML = """
name = "sono"
[[pixels]]
when = { Modality = "US" }
blank_outside = "ultrasound regions"
"""


async def test_what_lies_outside_is_blanked_and_what_cannot_be_is_refused(own_server: Server) -> None:
    server = own_server
    await server.put("/before.dcm", scan(region(1, 2, 5, 4), SOPInstanceUID="1.2.1"))
    await add(server, TOML)
    await applied(server, "sono", "/")
    await server.put("/after.dcm", scan(region(1, 2, 5, 4), SOPInstanceUID="1.2.2"))
    image = dcmread(io.BytesIO(scan(region(1, 2, 5, 4), SOPInstanceUID="1.2.3")))
    image.compress(RLELossless)
    written = io.BytesIO()
    image.save_as(written)
    await server.put("/compressed.dcm", written.getvalue())
    for surl in ("/before.dcm", "/after.dcm", "/compressed.dcm"):
        assert seen(await server.read(surl, view="sono")) == inside(1, 2, 5, 4)
    assert len({frame for frame, _, _ in inside(1, 2, 5, 4)}) == FRAMES
    for number, (data, reason) in enumerate(REFUSED.values()):
        again = dcmread(io.BytesIO(data))
        again.SOPInstanceUID = again.file_meta.MediaStorageSOPInstanceUID = f"1.2.4.{number}"
        written = io.BytesIO()
        again.save_as(written)
        await server.put(f"/{number}.dcm", written.getvalue())
        assert reason in (await explained(server, f"/{number}.dcm", "sono"))["explanation"]
