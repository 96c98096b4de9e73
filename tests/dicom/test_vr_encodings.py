"""Heads in the other VR encoding say the same, to pydicom and when they are written back."""

import io

import pydicom
import pytest
from pydicom import Dataset, Sequence
from pydicom.encaps import encapsulate
from pydicom.uid import ExplicitVRLittleEndian, ImplicitVRLittleEndian

from mdm_async.dicom.vr_encodings import in_explicit, in_implicit
from tests.pacs.devices import SAMPLES

NAMES = (
    "CT_small.dcm",
    "rtplan.dcm",
    "test-SR.dcm",
    "reportsi.dcm",
    "MR_small.dcm",
)


def without_pixels(name: str, syntax: str) -> bytes:
    found = pydicom.dcmread(SAMPLES / name)
    for keyword in ("PixelData", "DataSetTrailingPadding"):
        if keyword in found:
            delattr(found, keyword)
    found.remove_private_tags()
    found.file_meta.TransferSyntaxUID = syntax
    written = io.BytesIO()
    found.save_as(written, enforce_file_format=True)
    return written.getvalue()


@pytest.mark.parametrize("name", NAMES)
def test_there_and_back(name: str) -> None:
    explicit = without_pixels(name, ExplicitVRLittleEndian)
    there, tail = in_implicit(explicit, b"")
    back, _ = in_explicit(there, b"")
    read = [pydicom.dcmread(io.BytesIO(one)) for one in (explicit, there, back)]
    assert [str(one.file_meta.TransferSyntaxUID) for one in read] == [
        ExplicitVRLittleEndian, ImplicitVRLittleEndian, ExplicitVRLittleEndian,
    ]  # fmt: skip
    assert tail == b""
    assert read[0] == read[1] == read[2]
    assert len(read[0]) > 10


def test_icons_that_are_compressed_are_left_out_wherever_they_are() -> None:
    found = pydicom.dcmread(SAMPLES / "MR_small_RLE.dcm")
    del found.PixelData
    found.ReferencedImageSequence = Sequence([Dataset()])
    for place, compressed in ((found, True), (found.ReferencedImageSequence[0], True), (Dataset(), False)):
        icon = Dataset()
        icon.PixelData = encapsulate([b"CNRYGHJK"]) if compressed else b"native"
        icon["PixelData"].VR, icon["PixelData"].is_undefined_length = "OB", compressed
        place.IconImageSequence = [icon]
        if place is not found:
            found.ReferencedImageSequence.append(place)
    written = io.BytesIO()
    found.save_as(written)
    head, _ = in_explicit(written.getvalue(), b"")
    left = pydicom.dcmread(io.BytesIO(head))
    assert b"CNRYGHJK" in written.getvalue()
    assert b"CNRYGHJK" not in head
    assert "IconImageSequence" not in left
    assert ["IconImageSequence" in one for one in left.ReferencedImageSequence] == [False, False, True]
    assert left.PatientID == found.PatientID
