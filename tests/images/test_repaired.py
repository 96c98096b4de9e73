"""Images that hide something in their pixels, or have frames in disorder: views are repaired, originals stay."""

import struct

from pydicom.pixels import pixel_array

from mdm_async.dicom.elements import EXPLICIT_LITTLE
from tests.canary_pixels import JPEG_REST, JPEG_START, described, extended_table, fragments_alone
from tests.conftest import Server
from tests.dicom.conftest import Write
from tests.dicom.test_reframing import FRAMES, J2K, JPEG, LARGE, RLE, SECRET
from tests.images.test_opened_in_one_step import RECIPIENT
from tests.images.test_opened_in_one_step import read as sealed
from tests.pipeline import deidentified, read

WRITE = Write(EXPLICIT_LITTLE)


def files() -> dict[str, bytes]:
    words = [one | 0xA000 for one in range(64)]
    unused = WRITE.element(0x7FE00010, "OW", struct.pack("<64H", *words))
    table = extended_table([1, 2, 3], [4, 5, 6])
    size = {"rows": 8, "columns": 8}
    return {
        "unused": WRITE.file(described(16, stored=12, **size)) + unused,
        "open": WRITE.file(described(**size), JPEG) + fragments_alone((JPEG_START + JPEG_REST)[:-2]),
        "parts": WRITE.file(described(frames=b"3.0 ", **size) + table, RLE)
        + fragments_alone(SECRET, *(part for one in FRAMES[RLE] for part in (one[:70], one[70:]))),
        "tables": WRITE.file(described(frames=b"3", rows=64, columns=64), J2K)
        + fragments_alone(SECRET, *FRAMES[J2K]),
    }


async def test_views_are_repaired_and_originals_stay(server: Server) -> None:
    token = await server.token("rli", views=["basic", "identified"])
    for name, data in files().items():
        surl = f"{await server.directory()}/{name}.dcm"
        await server.put(surl, data)
        view = await server.read(surl)
        assert SECRET not in view
        expected = read(deidentified(data))
        assert read(view).PixelData == expected.PixelData
        assert (pixel_array(read(view)) == pixel_array(expected)).all()
        assert await sealed(server, f"/@identified{surl}", token, recipient=RECIPIENT) == data
    assert (pixel_array(read(view)) == LARGE).all()
