"""What lies around pixels that are native now says so, and nothing else has changed."""

import io

import pytest
from pydicom import Dataset, dcmread
from pydicom.sequence import Sequence
from pydicom.uid import ExplicitVRLittleEndian, ImplicitVRLittleEndian, JPEG2000Lossless, JPEGBaseline8Bit

from mdm_async.dicom.decompressed import in_native
from mdm_async.dicom.pixels.layout import Layout
from tests.web.dicomweb.conftest import image


def layout(photometric: str, *, samples: int = 3, planar: bool = False) -> Layout:
    return Layout(2, 2, 1, samples, 8, 8, 7, False, planar, photometric)


def head(syntax: str, **values: object) -> bytes:
    """What stands before the pixels."""
    data = dcmread(io.BytesIO(image(1, PixelData=None, DataSetTrailingPadding=None)))
    for keyword, value in values.items():
        setattr(data, keyword, value)
    data.file_meta.TransferSyntaxUID = syntax
    written = io.BytesIO()
    data.save_as(written, enforce_file_format=True)
    return written.getvalue()


@pytest.mark.parametrize("explicit", [True, False])
def test_only_what_pixels_are_has_changed(explicit: bool) -> None:
    before = head(
        JPEG2000Lossless, PhotometricInterpretation="YBR_RCT", SamplesPerPixel=3, PlanarConfiguration=0,
        ExtendedOffsetTable=bytes(8), ExtendedOffsetTableLengths=bytes(8),
    )  # fmt: skip
    padding = b"\xfc\xff\xfc\xffOB\0\0\2\0\0\0\0\0"
    made, after = in_native(before, padding, JPEG2000Lossless, layout("YBR_RCT"), explicit=explicit)
    assert after == (padding if explicit else b"\xfc\xff\xfc\xff\2\0\0\0\0\0")
    was, now = (dcmread(io.BytesIO(one)) for one in (before, made))
    assert now.file_meta.TransferSyntaxUID == (ExplicitVRLittleEndian if explicit else ImplicitVRLittleEndian)
    assert now.SOPInstanceUID == was.SOPInstanceUID
    assert now.PhotometricInterpretation == "RGB"
    del was.ExtendedOffsetTable, was.ExtendedOffsetTableLengths
    was.PhotometricInterpretation = "RGB"
    assert Dataset(was) == Dataset(now)
    assert list(now.keys()) == sorted(now.keys())


def test_what_a_transfer_syntax_said_of_losses_is_said_by_the_image() -> None:
    for values, expected in (
        ({}, ("01", "ISO_10918_1")),
        ({"LossyImageCompression": "00"}, ("01", "ISO_10918_1")),
        (
            {"LossyImageCompression": "01", "LossyImageCompressionMethod": "ISO_15444_1"},
            ("01", "ISO_15444_1"),
        ),
    ):
        before = head(JPEGBaseline8Bit, **values)
        made, _ = in_native(before, b"", JPEGBaseline8Bit, layout("MONOCHROME2", samples=1), explicit=True)
        now = dcmread(io.BytesIO(made))
        assert (now.LossyImageCompression, now.LossyImageCompressionMethod) == expected
        assert "PlanarConfiguration" not in now
        assert list(now.keys()) == sorted(now.keys())


def test_planes_are_told_where_there_are_several() -> None:
    for described, planar in (
        (layout("RGB", planar=True), 1), (layout("RGB"), 0), (layout("YBR_FULL_422", planar=True), 0),
    ):  # fmt: skip
        made, _ = in_native(head(JPEG2000Lossless), b"", JPEG2000Lossless, described, explicit=True)
        assert dcmread(io.BytesIO(made)).PlanarConfiguration == planar


def test_a_compressed_icon_is_no_part_of_a_native_data_set() -> None:
    icon = Dataset()
    icon.Rows = icon.Columns = 1
    before = head(JPEG2000Lossless, IconImageSequence=Sequence([icon]))
    fragments = b"\xe0\x7f\x10\0OB\0\0\xff\xff\xff\xff\xfe\xff\0\xe0\0\0\0\0\xfe\xff\xdd\xe0\0\0\0\0"
    columns = b"\x28\0\x11\0US\2\0\1\0"
    at = before.rindex(columns) + len(columns)
    item, sequence = at - len(columns) - 10 - 4, at - len(columns) - 10 - 8 - 4
    grown = bytearray(before[:at] + fragments + before[at:])
    for place in (item, sequence):
        length = int.from_bytes(grown[place : place + 4], "little") + len(fragments)
        grown[place : place + 4] = length.to_bytes(4, "little")
    made, _ = in_native(bytes(grown), b"", JPEG2000Lossless, layout("RGB"), explicit=True)
    assert "IconImageSequence" in dcmread(io.BytesIO(bytes(grown)))
    assert "IconImageSequence" not in dcmread(io.BytesIO(made))
