"""What is indexed of a file is what pydicom reads in its bytes; what it says is bounded, whatever stands there."""

import io
import math
import struct
import warnings
from collections.abc import Iterator

import pydicom
import pytest
from pydicom.datadict import dictionary_VR, keyword_for_tag
from pydicom.dataset import Dataset, FileDataset, FileMetaDataset
from pydicom.multival import MultiValue
from pydicom.uid import (
    UID,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
)

from mdm_async.dicom.attributes import LONGEST, LONGEST_TEXT, MOST_VALUES, Attributes, attributes_of
from mdm_async.dicom.indexed import Indexed, Kind, Level, by_keyword, indexed
from mdm_async.errors import MdmError, ScrubRefused
from tests.dicom.conftest import SAMPLES
from tests.pipeline import cut, deidentified

_VRS = {
    Kind.TEXT: {"AE", "AS", "CS", "LO", "SH", "UC"},
    Kind.NAME: {"PN"},
    Kind.NUMBER: {"DS", "IS", "US", "SS", "UL", "SL", "FL", "FD"},
    Kind.DATE: {"DA"},
    Kind.TIME: {"TM"},
    Kind.UID: {"UI"},
}


def as_pydicom_reads(data: bytes) -> dict[str, list[str | float]]:
    """The indexed attributes by pydicom alone."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        file = pydicom.dcmread(io.BytesIO(data), force=True, stop_before_pixels=True)
        return {row.keyword: values for row in indexed().values() if (values := _values(file, row))}


def _values(file: FileDataset, row: Indexed) -> list[str | float]:
    where = file.file_meta if row.tag >> 16 == 2 else file
    element = where.get(row.tag)
    if element is None or element.VR not in _VRS[row.kind] or element.value is None:
        return []
    values = element.value if isinstance(element.value, MultiValue | list) else [element.value]
    if row.kind is Kind.NUMBER:
        try:
            numbers = [float(one) for one in values if str(one).strip()]
        except ValueError:  # pydicom gives the text of what is no number
            return []
        return list(numbers) if all(map(math.isfinite, numbers)) else []
    return [text for one in values if (text := str(one).strip("\0 "))]


def test_what_is_indexed_is_what_pydicom_reads_in_every_view_and_every_original() -> None:
    compared = 0
    for path in SAMPLES:
        for data in _files(path.read_bytes()):
            expected = as_pydicom_reads(data)
            found = attributes_of(cut(data, force=True).head).all()
            if "TransferSyntaxUID" not in expected:  # of a file without meta it is found out
                del found["TransferSyntaxUID"]
            assert found == expected, path.name
            compared += len(expected)
    assert compared > 5_000


def _files(original: bytes) -> Iterator[bytes]:
    for make in (lambda data: data, deidentified):
        try:
            made = make(original)
            cut(made, force=True)
        except (MdmError, ScrubRefused):
            continue
        yield made


def test_every_row_of_the_table_is_of_the_dictionary() -> None:
    for row in indexed().values():
        assert keyword_for_tag(row.tag) == row.keyword
        assert dictionary_VR(row.tag).split(" or ")[0] in _VRS[row.kind], row
    assert len(by_keyword()) == len(indexed()) > 80
    assert list(indexed()) == sorted(indexed())


def written(said: Dataset, syntax: str = ExplicitVRLittleEndian) -> bytes:
    uid = UID(syntax)
    file = FileDataset(
        "",
        said,
        preamble=bytes(128),
        is_implicit_VR=uid.is_implicit_VR,
        is_little_endian=uid.is_little_endian,
    )
    file.file_meta = FileMetaDataset()
    file.file_meta.TransferSyntaxUID = syntax
    file.file_meta.MediaStorageSOPClassUID = said.SOPClassUID = "1.2.840.10008.5.1.4.1.1.2"
    file.file_meta.MediaStorageSOPInstanceUID = said.SOPInstanceUID = "1.2.3"
    out = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        file.save_as(out, enforce_file_format=True)
    return out.getvalue()


def said_by(said: Dataset, syntax: str = ExplicitVRLittleEndian) -> Attributes:
    return attributes_of(cut(written(said, syntax)).head)


def raw(*elements: tuple[int, bytes, bytes]) -> Attributes:
    """Of elements as they are encoded here, legal or not."""
    data = b"".join(
        struct.pack("<HH2sH", tag >> 16, tag & 0xFFFF, vr, len(value)) + value for tag, vr, value in elements
    )
    return attributes_of(_with(data))


def _with(data: bytes) -> bytes:
    bare = written(Dataset())
    meta = bare.index(b"\x08\x00\x16\x00")
    return bare[:meta] + data


@pytest.mark.parametrize(
    "syntax",
    [ImplicitVRLittleEndian, ExplicitVRLittleEndian, ExplicitVRBigEndian, DeflatedExplicitVRLittleEndian],
)
def test_every_encoding_says_the_same(syntax: str) -> None:
    image = Dataset()
    image.SpecificCharacterSet = "ISO_IR 100"
    image.PatientName, image.PatientID = "Müller^Jörg", "4711"
    image.PixelSpacing, image.Rows, image.ImageType = [0.5, 0.25], 512, ["ORIGINAL", "PRIMARY"]
    image.StudyDate, image.SeriesNumber, image.RepetitionTime = "20240229", 3, 12.5
    found = said_by(image, syntax)
    assert found.patient == {"PatientName": ["Müller^Jörg"], "PatientID": ["4711"]}
    assert found.study == {"StudyDate": ["20240229"]}
    assert found.series["PixelSpacing"] == [0.5, 0.25]
    assert (found.series["Rows"], found.series["SeriesNumber"]) == ([512], [3])
    assert found.series["ImageType"] == ["ORIGINAL", "PRIMARY"]
    assert found.series["TransferSyntaxUID"] == [syntax]
    assert found.instance == {"SOPInstanceUID": ["1.2.3"]}


@pytest.mark.parametrize(
    ("charset", "name"),
    [
        ("ISO_IR 192", "山田^太郎"),
        ("ISO_IR 144", "Люкceмбypг"),
        (["", "ISO 2022 IR 87"], "Yamada^Tarou=山田^太郎=やまだ^たろう"),
        (["", "ISO 2022 IR 149"], "Hong^Gildong=洪^吉洞=홍^길동"),
        ("GB18030", "Wang^XiaoDong=王^小东"),
        ("GB18030", "誠^乗"),  # with bytes that are backslashes by themselves
    ],
)
def test_names_are_read_in_their_character_sets(charset: str | list[str], name: str) -> None:
    image = Dataset()
    image.SpecificCharacterSet = charset
    image.PatientName = name
    assert said_by(image).patient == {"PatientName": [name]}


def test_numbers_that_are_none_and_that_are_not_finite_are_not_indexed() -> None:
    for keyword, vr, value in (
        ("SliceThickness", b"DS", b"nan "),
        ("KVP", b"DS", b"1e999 "),
        ("EchoTime", b"DS", b"1_0 "),
        ("SeriesNumber", b"IS", b"99999999999 "),
        ("FlipAngle", b"FD", struct.pack("<d", math.nan)),
        ("RepetitionTime", b"FD", struct.pack("<d", math.inf)),
        ("Rows", b"US", b"\1"),
        ("PixelSpacing", b"DS", b"0.5\\x "),
    ):
        found = raw((by_keyword()[keyword].tag, vr, value))
        assert keyword not in found.all(), keyword


def test_a_decimal_of_nineteen_digits_is_read_whole() -> None:
    found = raw((by_keyword()["SliceThickness"].tag, b"DS", b"1.23456789012345678 "))
    assert found.series["SliceThickness"] == [1.2345678901234568]


@pytest.mark.parametrize(("vr", "value"), [(b"PN", b"Doe^John"), (b"LO", b"5 "), (b"UN", b"Doe^John")])
def test_an_attribute_whose_vr_lies_is_not_indexed(vr: bytes, value: bytes) -> None:
    if vr == b"UN":
        data = struct.pack("<HH2sHL", 0x18, 0x50, vr, 0, len(value)) + value
        assert "SliceThickness" not in attributes_of(_with(data)).all()
    else:
        assert "SliceThickness" not in raw((0x00180050, vr, value)).all()


def test_what_is_too_long_or_too_much_is_left_out_and_never_cut() -> None:
    tag = by_keyword()["ImageType"].tag
    assert len(raw((tag, b"CS", b"\\".join([b"A"] * MOST_VALUES))).series["ImageType"]) == MOST_VALUES
    assert "ImageType" not in raw((tag, b"CS", b"\\".join([b"A"] * (MOST_VALUES + 1)))).all()
    assert "ImageType" not in raw((tag, b"CS", b"\\".join([b"A"] * 10_000))).all()
    described = by_keyword()["SeriesDescription"].tag
    assert raw((described, b"LO", b"x" * LONGEST_TEXT)).series["SeriesDescription"] == ["x" * LONGEST_TEXT]
    assert "SeriesDescription" not in raw((described, b"LO", b"x" * (LONGEST_TEXT + 2))).all()
    megabyte = struct.pack("<HH2sHL", described >> 16, described & 0xFFFF, b"UC", 0, 1 << 20) + bytes(
        b"x" * (1 << 20)
    )
    assert attributes_of(_with(megabyte)).all().keys() == {"TransferSyntaxUID"}
    assert LONGEST_TEXT < LONGEST


def test_a_text_with_nul_in_it_is_not_indexed() -> None:
    described = by_keyword()["StudyDescription"].tag
    assert raw((described, b"LO", b"a\0\0\0")).study == {"StudyDescription": ["a"]}
    assert raw((described, b"LO", b"a\0b ")).study == {}


@pytest.mark.parametrize(
    "charset", ["utf_7", "unicode_escape", "raw_unicode_escape", "punycode", "zip", "rot13"]
)
def test_no_character_set_makes_what_a_database_cannot_keep(charset: str) -> None:
    hostile = rb"\ud800 \x00 +2AA- a\u0000"
    found = raw((0x00080005, b"CS", charset.encode()), (by_keyword()["StudyDescription"].tag, b"LO", hostile))
    for values in found.all().values():
        for one in values:
            assert "\0" not in str(one)
            str(one).encode()


def test_what_lies_behind_the_last_attribute_is_not_walked() -> None:
    """A head of many megabytes behind it, or one that is broken there, costs nothing."""
    broken = struct.pack("<HH2sHL", 0x5200, 0x9230, b"SQ", 0, 0xFFFFFFFF) + b"broken"
    assert raw((0x00080060, b"CS", b"CT")) == attributes_of(
        _with(struct.pack("<HH2sH", 8, 0x60, b"CS", 2) + b"CT" + broken)
    )


def test_levels_are_as_the_standard_has_them() -> None:
    level = {row.keyword: row.level for row in indexed().values()}
    assert level["PatientID"] is Level.PATIENT
    assert level["StudyInstanceUID"] is level["AccessionNumber"] is Level.STUDY
    assert level["Modality"] is level["SeriesInstanceUID"] is Level.SERIES
    assert level["SOPInstanceUID"] is level["InstanceNumber"] is Level.INSTANCE
