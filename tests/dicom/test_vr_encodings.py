"""Heads in the other VR encoding say the same, to pydicom and when they are written back."""

import io

import pydicom
import pytest
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
