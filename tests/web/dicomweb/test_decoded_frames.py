"""Compressed frames, asked for in Explicit VR Little Endian: decoded, and laid out as their metadata say."""

import io
from pathlib import Path
from typing import Any

import numpy as np
import pydicom.data
import pytest
from pydicom import Dataset, dcmread
from pydicom.encaps import encapsulate, generate_frames
from pydicom.uid import CTImageStorage

from mdm_async.images.studies import decoding
from tests.conftest import Server
from tests.web.dicomweb.test_retrieve import only, parts_of

_FILES = Path(pydicom.data.__file__).parent / "test_files"
LITTLE = 'multipart/related; type="application/octet-stream"'
EXPLICIT = "1.2.840.10008.1.2.1"
OF_COLOURS = ("SC_rgb_jpeg_dcmtk", "SC_rgb_dcmtk_+eb+cy+np", "SC_rgb_jpeg_gdcm", "GDCMJ2K_TextGBR", "SC_rgb_rle",
              "SC_rgb_dcmtk_+eb+cr")  # fmt: skip
GREY = ("MR_small_jp2klossless", "MR_small_RLE", "JPGExtended")


def ready(name: str, number: int, frames: int = 1) -> Dataset:
    data = dcmread(_FILES / f"{name}.dcm")
    data.SOPClassUID = data.file_meta.MediaStorageSOPClassUID = CTImageStorage
    data.Modality, data.BurnedInAnnotation, data.ConversionType = "CT", "NO", None
    data.SOPInstanceUID = data.file_meta.MediaStorageSOPInstanceUID = f"1.2.3.80.{number}.{frames}"
    if frames > 1:
        (one,) = generate_frames(data.PixelData, number_of_frames=1)
        data.PixelData, data.NumberOfFrames = encapsulate([one] * frames), frames
        data["PixelData"].is_undefined_length = True
    return data


def written(data: Dataset) -> bytes:
    into = io.BytesIO()
    data.save_as(into)
    return into.getvalue()


def as_told(viewer_says: dict[str, Any], frame: bytes) -> Any:
    """What a reader makes of a native frame and of the metadata."""
    told = Dataset.from_json({tag: one for tag, one in viewer_says.items() if "BulkDataURI" not in one})
    told.ensure_file_meta()
    told.file_meta.TransferSyntaxUID = EXPLICIT
    told.PixelData = frame + bytes(len(frame) % 2)
    told["PixelData"].VR = "OW" if told.BitsAllocated > 8 else "OB"
    if told.PhotometricInterpretation in ("YBR_RCT", "YBR_ICT"):
        told.PhotometricInterpretation = "RGB"
    return told.pixel_array


@pytest.mark.parametrize("name", [*OF_COLOURS, *GREY])
async def test_a_decoded_frame_is_what_its_metadata_say(server: Server, name: str) -> None:
    data = ready(name, [*OF_COLOURS, *GREY].index(name))
    viewer, where = await only(server, written(data))
    (told,) = (await viewer.get(f"{where}/metadata")).tree
    ((kind, frame),) = parts_of(await viewer.get(f"{where}/frames/1", Accept=LITTLE))
    assert kind == f"application/octet-stream; transfer-syntax={EXPLICIT}"
    assert len(frame) == data.Rows * data.Columns * data.BitsAllocated // 8 * (
        {"YBR_FULL_422": 2}.get(data.PhotometricInterpretation, data.SamplesPerPixel)
    )
    away = np.abs(as_told(told, frame).astype(int) - data.pixel_array)
    # Where two pixels share their chrominance, that of the one beside may differ.
    assert np.mean(away > 8) < (0.02 if "422" in data.PhotometricInterpretation else 1e-9)
    alone = await viewer.get(f"{where}/frames/1", Accept="application/octet-stream")
    assert (alone.status, alone.body) == (200, frame)
    assert alone.headers["Content-Type"] == kind
    stored = await viewer.get(f"{where}/frames/1", Accept=f"{LITTLE}; transfer-syntax=*")
    assert parts_of(stored)[0][0].endswith(str(data.file_meta.TransferSyntaxUID))


async def test_many_frames_are_decoded_some_at_a_time(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = ready("MR_small_jp2klossless", 50, frames=5)
    viewer, where = await only(server, written(data))
    monkeypatch.setattr(decoding, "_TOGETHER", 2 * 64 * 64 * 2)
    reply = await viewer.get(f"{where}/frames/1,2,3,4,5", Accept=LITTLE)
    assert reply.headers["Content-Length"] == str(len(reply.body))
    found = parts_of(reply)
    expected = dcmread(_FILES / "MR_small.dcm").pixel_array.astype("<i2").tobytes()
    assert [body for _, body in found] == [expected] * 5
    (told,) = (await viewer.get(f"{where}/metadata")).tree
    bulk = told["7FE00010"]["BulkDataURI"]
    assert parts_of(await server.call("GET", bulk, token=viewer.token, headers={"Accept": LITTLE})) == found
    head = await server.call(
        "HEAD", f"/dicom-web{where}/frames/1,2,3,4,5", token=viewer.token, headers={"Accept": LITTLE}
    )
    assert (head.status, head.headers["Content-Length"]) == (200, reply.headers["Content-Length"])
    assert server.house.budget.shares.used == 0


async def test_what_cannot_be_decoded_is_had_as_it_is_stored(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    viewer, where = await only(server, written(ready("JPEG-lossy", 60)))
    with monkeypatch.context() as patched:
        patched.setattr(decoding, "MOST_DECODED", 1000)
        large = await viewer.get(f"{where}/frames/1", Accept=LITTLE)
    odd = await viewer.get(f"{where}/frames/1", Accept=LITTLE)
    assert (large.status, odd.status) == (406, 406)
    assert "1.2.840.10008.1.2.4.51" in large.tree["remedy"]
    assert "transfer-syntax=*" in odd.tree["remedy"]
    assert (await viewer.get(f"{where}/rendered")).status == 406
    assert (await viewer.get(f"{where}/frames/1", Accept=f"{LITTLE}; transfer-syntax=*")).status == 200
    assert server.house.budget.shares.used == 0
