"""The texts of a data set: every one that a reader would see, at any depth."""

import io

import pydicom
import pytest
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence
from pydicom.uid import ExplicitVRBigEndian, ExplicitVRLittleEndian, ImplicitVRLittleEndian

from mdm_async.dicom.texts import Text, texts_of


def head_of(dataset: Dataset, syntax: str = ExplicitVRLittleEndian) -> bytes:
    out = io.BytesIO()
    dataset.file_meta = pydicom.dataset.FileMetaDataset()
    dataset.file_meta.MediaStorageSOPClassUID = "1.2.840.10008.5.1.4.1.1.2"
    dataset.file_meta.MediaStorageSOPInstanceUID = "1.2.3"
    dataset.file_meta.TransferSyntaxUID = syntax
    pydicom.dcmwrite(
        out,
        dataset,
        implicit_vr=syntax == ImplicitVRLittleEndian,
        little_endian=syntax != ExplicitVRBigEndian,
        enforce_file_format=True,
    )
    return out.getvalue()


def nested() -> Dataset:
    inner, outer, whole = Dataset(), Dataset(), Dataset()
    inner.CodeMeaning = "two"
    outer.ConceptNameCodeSequence = Sequence([inner])
    outer.TextValue = "one\\text"
    whole.ContentSequence = Sequence([outer])
    whole["ContentSequence"].is_undefined_length = True
    whole.ImageType = ["ORIGINAL", "PRIMARY"]
    whole.Rows, whole.SOPInstanceUID, whole.StudyDate = 512, "1.2.3", "20200202"
    return whole


@pytest.mark.parametrize("syntax", [ExplicitVRLittleEndian, ImplicitVRLittleEndian, ExplicitVRBigEndian])
def test_texts_are_found_at_any_depth_and_numbers_dates_and_uids_are_not(syntax):
    assert set(texts_of(head_of(nested(), syntax), b"", frozenset())) == {
        Text(0x00080008, "CS", "ORIGINAL"),
        Text(0x00080008, "CS", "PRIMARY"),
        Text(0x00080104, "LO", "two"),
        Text(0x0040A160, "UT", "one\\text"),
    }


def test_what_is_left_out_is_left_out_with_all_that_is_in_it():
    found = set(texts_of(head_of(nested()), b"", frozenset({0x0040A730})))
    assert {text.value for text in found} == {"ORIGINAL", "PRIMARY"}


def test_text_is_read_in_the_character_set_of_its_file():
    whole = Dataset()
    whole.SpecificCharacterSet = "ISO_IR 144"
    whole.StudyDescription = "грудь"
    assert Text(0x00081030, "LO", "грудь") in set(texts_of(head_of(whole), b"", frozenset()))


def test_unknown_bytes_are_told_where_they_are_text():
    whole = Dataset()
    whole.add_new(0x00191001, "UN", b"SMITH JOHN")
    whole.add_new(0x00191002, "UN", b"\x00\x01\x02\x03")
    assert set(texts_of(head_of(whole), b"", frozenset())) == {Text(0x00191001, "UN", "SMITH JOHN")}
