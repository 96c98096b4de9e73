"""Big endian instances, frames and values leave in Explicit VR Little Endian."""

import io
import random
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
from pydicom import Dataset, dcmread
from pydicom.uid import CTImageStorage, ExplicitVRBigEndian, ExplicitVRLittleEndian

from mdm_async.dicom.byte_order import swapped
from tests.conftest import Server
from tests.web.dicomweb.test_decoded_frames import LITTLE, as_told, written
from tests.web.dicomweb.test_decoded_instances import DEFAULT, dumped
from tests.web.dicomweb.test_retrieve import _FILES, ANY_DICOM, only, parts_of

NAMES = (
    "MR_small_bigendian",
    "SC_rgb_small_odd_big_endian",
    "ExplVR_BigEnd",
    "rtdose_expb",
)
LABEL = f"application/octet-stream; transfer-syntax={ExplicitVRLittleEndian}"


def big(name: str) -> Dataset:
    data = dcmread(_FILES / f"{name}.dcm")
    assert data.file_meta.TransferSyntaxUID == ExplicitVRBigEndian
    if name != "rtdose_expb":
        data.SOPClassUID, data.Modality = CTImageStorage, "CT"
    data.file_meta.MediaStorageSOPClassUID = data.SOPClassUID
    data.BurnedInAnnotation, data.ConversionType = "NO", None
    data.StudyInstanceUID, data.SeriesInstanceUID = "1.2.3.84", "1.2.3.84.1"
    data.SOPInstanceUID = data.file_meta.MediaStorageSOPInstanceUID = f"1.2.3.84.1.{NAMES.index(name)}"
    if "GridFrameOffsetVector" not in data:
        data.FrameIncrementPointer = "00181063"  # a tag: two words
    return data


def by_dcmtk(file: bytes, folder: Path) -> Dataset:
    """As dcmconv writes it in little endian."""
    program = shutil.which("dcmconv")
    if program is None:
        pytest.skip("PEERS MISSING: dcmconv (as root: tests/install-peers dcmtk)")
    (folder / "big.dcm").write_bytes(file)
    subprocess.run([program, "+te", "big.dcm", "little.dcm"], cwd=folder, check=True)
    return dcmread(folder / "little.dcm")


@pytest.mark.parametrize("name", NAMES)
async def test_the_instance_its_frames_and_its_picture(server: Server, tmp_path: Path, name: str) -> None:
    data = big(name)
    viewer, where = await only(server, written(data))
    stored = parts_of(await viewer.get(where, Accept=ANY_DICOM))[0][1]
    ((kind, body),) = parts_of(await viewer.get(where, Accept=DEFAULT))
    assert kind == f"application/dicom; transfer-syntax={ExplicitVRLittleEndian}"
    got, expected = dcmread(io.BytesIO(body)), by_dcmtk(stored, tmp_path)
    assert got.file_meta.TransferSyntaxUID == ExplicitVRLittleEndian
    assert (got.pixel_array == data.pixel_array).all()
    del got.PixelData, expected.PixelData
    assert got == expected
    dumped(body, tmp_path)
    (told,) = (await viewer.get(f"{where}/metadata")).tree
    ((kind, frame),) = parts_of(await viewer.get(f"{where}/frames/1", Accept=LITTLE))
    assert kind == LABEL
    first = data.pixel_array[0] if data.get("NumberOfFrames", 1) > 1 else data.pixel_array
    told.pop("00280008", None)
    assert (as_told(told, frame) == first).all()
    (bulk,) = parts_of(await viewer.get(f"{where}/bulkdata/7FE00010"))
    assert bulk[1] == dcmread(io.BytesIO(body)).PixelData
    assert (await viewer.get(f"{where}/rendered", Accept="image/png")).status == 200


async def test_words_that_lie_across_what_is_read_at_once(server: Server) -> None:
    data = big("MR_small_bigendian")
    data.SOPInstanceUID = data.file_meta.MediaStorageSOPInstanceUID = "1.2.3.84.1.90"
    # Frames of which each second one begins within a word.
    data.Rows, data.Columns, data.NumberOfFrames = 1001, 1001, 3
    data.BitsAllocated, data.BitsStored, data.HighBit = 8, 8, 7
    data.PixelRepresentation = 0
    pixels = random.Random(84).randbytes(3 * 1001 * 1001) + b"\0"
    data.PixelData = swapped(pixels, 2)
    viewer, where = await only(server, written(data))
    size = 1001 * 1001
    found = parts_of(await viewer.get(f"{where}/frames/2,1,3", Accept=LITTLE))
    assert [body for _, body in found] == [pixels[n * size : n * size + size] for n in (1, 0, 2)]
    ((_, body),) = parts_of(await viewer.get(where, Accept=DEFAULT))
    assert dcmread(io.BytesIO(body)).PixelData == pixels


@pytest.mark.parametrize("word", [1, 2, 4, 8])
def test_a_value_whose_last_word_is_not_whole(word: int) -> None:
    value = bytes(range(8 * 3)) + b"\xff"
    kind = np.dtype(f">u{word}")
    expected = np.frombuffer(value[:24], kind).astype(kind.newbyteorder("<")).tobytes()
    assert swapped(value, word) == (expected + b"\xff" if word > 1 else value)
