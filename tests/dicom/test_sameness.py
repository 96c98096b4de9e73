"""What files of one SOP Instance UID are compared by: pixels and data sets, however they are written."""

import hashlib
import io
from typing import Any

import pydicom
import pytest
from pydicom.data import get_testdata_file
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
)

from mdm_async.dicom.part10 import Kind, Splitter
from mdm_async.dicom.sameness import Sameness, sameness


def compared(file: bytes, step: int = 1000) -> Sameness:
    """As the intake has it."""
    splitter, kept = Splitter(), dict.fromkeys(Kind, b"")
    for start in range(0, len(file) + step, step):
        chunk = file[start : start + step]
        for piece in splitter.feed(chunk) if chunk else splitter.close():
            kept[piece.kind] += bytes(piece.data)
    pixels = kept[Kind.PIXELS]
    digest = hashlib.sha256(pixels[splitter.pixel_header :])
    return sameness(kept[Kind.HEAD], kept[Kind.TAIL], digest.hexdigest() if pixels else None)


def written(syntax: str, sample: str = "CT_small.dcm", **values: Any) -> bytes:
    image = pydicom.dcmread(get_testdata_file(sample) or sample)
    for keyword, value in values.items():
        setattr(image, keyword, value)
    image.file_meta.TransferSyntaxUID = syntax
    file = io.BytesIO()
    implicit = syntax == ImplicitVRLittleEndian
    image.save_as(file, implicit_vr=implicit, little_endian=syntax != ExplicitVRBigEndian)
    return file.getvalue()


FIRST = compared(written(ExplicitVRLittleEndian))


@pytest.mark.parametrize("syntax", [ImplicitVRLittleEndian, DeflatedExplicitVRLittleEndian])
def test_the_same_is_the_same_in_other_native_syntaxes(syntax: str) -> None:
    assert compared(written(syntax)) == FIRST


@pytest.mark.parametrize("step", [1, 7, 100_000])
def test_it_does_not_matter_how_it_comes(step: int) -> None:
    assert compared(written(ExplicitVRLittleEndian), step) == FIRST


def test_file_meta_information_and_padding_do_not_count() -> None:
    image = pydicom.dcmread(get_testdata_file("CT_small.dcm"))
    image.file_meta.SourceApplicationEntityTitle = "ELSEWHERE"
    del image.DataSetTrailingPadding
    file = io.BytesIO()
    image.save_as(file)
    assert compared(file.getvalue()) == FIRST


def test_another_head_is_another_data_set_of_the_same_content() -> None:
    other = compared(written(ExplicitVRLittleEndian, PatientName="Other^Name"))
    assert other.content == FIRST.content
    assert other.data_set != FIRST.data_set


def test_other_pixels_and_big_endian_ones_are_other_content() -> None:
    pixels = pydicom.dcmread(get_testdata_file("CT_small.dcm")).PixelData
    other = compared(written(ExplicitVRLittleEndian, PixelData=pixels[:-2] + b"\x01\x02"))
    assert other.content != FIRST.content
    assert other.data_set != FIRST.data_set
    little, big = (
        compared(written(syntax, sample))
        for syntax, sample in (
            (ExplicitVRLittleEndian, "MR_small.dcm"),
            (ExplicitVRBigEndian, "MR_small_bigendian.dcm"),
        )
    )
    assert little.content != big.content


def test_the_same_fragments_under_another_syntax_are_another_data_set() -> None:
    file = pydicom.dcmread(get_testdata_file("SC_rgb_jpeg_dcmtk.dcm"))
    told = []
    for syntax in (file.file_meta.TransferSyntaxUID, "1.2.840.10008.1.2.4.51"):
        file.file_meta.TransferSyntaxUID = syntax
        one = io.BytesIO()
        file.save_as(one)
        told.append(compared(one.getvalue()))
    assert told[0].content == told[1].content
    assert told[0].data_set != told[1].data_set


def test_without_pixels_what_is_not_of_the_patient_counts() -> None:
    report = compared(written(ExplicitVRLittleEndian, "reportsi.dcm"))
    renamed = compared(written(ExplicitVRLittleEndian, "reportsi.dcm", PatientName="Other^Name"))
    changed = compared(written(ExplicitVRLittleEndian, "reportsi.dcm", InstanceNumber=4711))
    assert report.content == renamed.content
    assert report.data_set != renamed.data_set
    assert report.content != changed.content
