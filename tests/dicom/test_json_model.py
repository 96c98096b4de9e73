"""Data sets as DICOM JSON: always JSON, never with a value that is none, the same as other readers see."""

import io
import json
import math
import warnings
from pathlib import Path
from typing import Any

import pytest
from pydicom import Dataset, Sequence, dcmread
from pydicom.dataset import FileMetaDataset
from pydicom.uid import ExplicitVRBigEndian, ExplicitVRLittleEndian, ImplicitVRLittleEndian

from mdm_async.dicom.elements import Buffer, Encoding
from mdm_async.dicom.json_model import DEEPEST, MOST_ELEMENTS, MOST_TOLD, bulk_of, json_of
from mdm_async.dicom.part10 import Kind, Splitter
from mdm_async.errors import TooLarge
from tests.conftest import dicom_files


def split(data: bytes) -> tuple[bytes, bytes]:
    splitter = Splitter(force=True)
    found = dict.fromkeys(Kind, b"")
    for piece in [*splitter.stream(data), *splitter.close()]:
        found[piece.kind] += bytes(piece.data)
    return found[Kind.HEAD], found[Kind.TAIL]


def strict(told: bytes) -> Any:
    """As JSON's own rules have it: no NaN, no Infinity."""

    def none(said: str) -> Any:
        raise AssertionError(said)

    return json.loads(told, parse_constant=none)


def written(image: Dataset, syntax: str = ExplicitVRLittleEndian) -> bytes:
    image.file_meta = FileMetaDataset()
    image.file_meta.TransferSyntaxUID = syntax
    image.SOPClassUID, image.SOPInstanceUID = "1.2.840.10008.5.1.4.1.1.2", "1.2.3"
    into = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        image.save_as(into, enforce_file_format=True)
    return into.getvalue()


def model(data: bytes) -> Any:
    head, tail = split(data)
    return strict(json_of(head, tail, lambda path: "/".join(map(str, path)), {}))


def raw(tag: int, vr: bytes, value: bytes) -> bytes:
    """One element more, after all others of a file in explicit VR."""
    value += b" " * (len(value) % 2)
    head = (tag >> 16).to_bytes(2, "little") + (tag & 0xFFFF).to_bytes(2, "little") + vr
    long = vr in (b"UV", b"SV", b"OB", b"UT")
    return (
        head
        + (b"\0\0" + len(value).to_bytes(4, "little") if long else len(value).to_bytes(2, "little"))
        + value
    )


@pytest.mark.parametrize("path", dicom_files(), ids=lambda path: path.name)
def test_every_file_of_pydicom_is_told_as_pydicom_reads_it(path: Path) -> None:
    data = path.read_bytes()
    try:
        head, tail = split(data)
    except Exception:
        pytest.skip("it is not let in")
    if not head:
        pytest.skip("deflated")
    told = strict(json_of(head, tail, lambda path: "bulk", {}))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        theirs = dcmread(io.BytesIO(data), force=True)
        for element in theirs:
            tag = f"{int(element.tag):08X}"
            if not element.tag.element or element.tag.group == 0x7FE0 or tag not in told:
                continue
            mine = told[tag]
            if element.VR in ("US", "SS", "UL", "SL", "IS", "UI", "AT") and mine["vr"] == element.VR:
                values = element.value if element.VM > 1 else [element.value] if element.VM else []
                ours = mine.get("Value", [])
                if element.VR == "AT":
                    values = [f"{int(one):08X}" for one in values]
                if "BulkDataURI" not in mine and ours:
                    assert [str(one) for one in ours] == [str(one) for one in values], tag


def test_numbers_that_json_has_not() -> None:
    image = Dataset()
    image.add_new(0x00189073, "FD", [math.nan, math.inf, -math.inf, 1.5])
    image.add_new(0x00189087, "FL", [math.inf])
    told = model(written(image))
    assert told["00189073"] == {"vr": "FD", "Value": ["NaN", "inf", "-inf", 1.5]}
    for ending, expected in (
        (raw(0x00200032, b"DS", b"1\\2.5\\-3e2"), {"vr": "DS", "Value": [1, 2.5, -300]}),
        (raw(0x00200032, b"DS", b"1.234567890123456789"), {"vr": "DS", "Value": ["1.234567890123456789"]}),
        (raw(0x00200032, b"DS", b"1e999"), {"vr": "DS", "Value": ["1e999"]}),
        (raw(0x00200032, b"DS", b"@"), {"vr": "DS"}),
        (raw(0x00200032, b"DS", b"NaN"), {"vr": "DS"}),
        (raw(0x00200032, b"DS", b"1\\\\3"), {"vr": "DS", "Value": [1, None, 3]}),
        (raw(0x00200013, b"IS", b"99999999999"), {"vr": "IS"}),
        (raw(0x00200013, b"IS", b"x"), {"vr": "IS"}),
        (raw(0x00200013, b"IS", b"-7 "), {"vr": "IS", "Value": [-7]}),
        (raw(0x00200013, b"US", b"abc"), {"vr": "US", "Value": [0x6261, 0x2063]}),
        (raw(0x00200013, b"UL", b"ab"), {"vr": "UL"}),
        (raw(0x00200013, b"UV", (2**63 - 1).to_bytes(8, "little")), {"vr": "UV", "Value": [str(2**63 - 1)]}),
        (raw(0x00200013, b"SV", (5).to_bytes(8, "little")), {"vr": "SV", "Value": [5]}),
    ):
        told = model(written(Dataset()) + ending)
        assert told["00080018"]["Value"] == ["1.2.3"]
        assert [one for tag, one in told.items() if tag > "00100000"] == [expected], ending


def test_names_texts_and_tags() -> None:
    image = Dataset()
    image.SpecificCharacterSet = "ISO_IR 192"
    image.PatientName = "Yamada^Tarou=山田^太郎=やまだ^たろう"
    image.OperatorsName = ["A^B", "", "=C"]
    image.ImageType = ["ORIGINAL", "", "AXIAL"]
    image.PatientComments = " a\\b "
    image.FrameIncrementPointer = 0x00181063
    told = model(written(image))
    groups = {"Alphabetic": "Yamada^Tarou", "Ideographic": "山田^太郎", "Phonetic": "やまだ^たろう"}
    assert told["00100010"]["Value"] == [groups]
    assert told["00081070"]["Value"] == [{"Alphabetic": "A^B"}, None, {"Ideographic": "C"}]
    assert told["00080008"]["Value"] == ["ORIGINAL", None, "AXIAL"]
    assert told["00104000"]["Value"] == ["a\\b"]
    assert told["00280009"]["Value"] == ["00181063"]
    assert told["00080005"]["Value"] == ["ISO_IR 192"]
    assert not any(tag.startswith("0002") for tag in told)


@pytest.mark.parametrize("syntax", [ExplicitVRLittleEndian, ImplicitVRLittleEndian, ExplicitVRBigEndian])
def test_sequences_and_long_values(syntax: str) -> None:
    deep = Dataset()
    deep.CodeMeaning = "deep"
    deep.add_new(0x00420011, "OB", b"\1\2" * 2000)
    item = Dataset()
    item.ConceptNameCodeSequence = Sequence([Dataset(), deep])
    image = Dataset()
    image.ContentSequence = Sequence([item])
    image.add_new(0x00660016, "OF", b"\0\0\x80\x3f")
    data = written(image, syntax)
    told = model(data)
    inner = told["0040A730"]["Value"][0]["0040A043"]["Value"]
    assert inner[0] == {}
    assert inner[1]["00080104"]["Value"] == ["deep"]
    path = (0x0040A730, 0, 0x0040A043, 1, 0x00420011)
    assert inner[1]["00420011"] == {"vr": "OB", "BulkDataURI": "/".join(map(str, path))}
    head, tail = split(data)
    bulk = bulk_of(head, tail, path)
    assert bulk is not None
    assert head[bulk.start : bulk.stop] == b"\1\2" * 2000
    for wrong in (
        (0x0040A730,),
        (*path[:-1], 0x00420012),
        (0x00100010,),
        (0x0040A730, 7, 0x0040A043),
        (0x00020010,),
    ):
        assert bulk_of(head, tail, wrong) is None
    if syntax == ExplicitVRBigEndian:
        assert told["00660016"]["InlineBinary"] == "P4AAAA=="
    elif syntax == ExplicitVRLittleEndian:
        assert told["00660016"]["InlineBinary"] == "AACAPw=="


def in_sequences(depth: int, body: bytes) -> bytes:
    """A file in which this lies so deep, all lengths undefined."""
    undefined = b"\xff" * 4
    begin = b"\x40\x00\x30\xa7SQ\0\0" + undefined + b"\xfe\xff\x00\xe0" + undefined
    end = b"\xfe\xff\x0d\xe0" + bytes(4) + b"\xfe\xff\xdd\xe0" + bytes(4)
    return written(Dataset()) + begin * depth + body + end * depth


def test_nested_values_of_undefined_length_are_gone_over_once(monkeypatch: pytest.MonkeyPatch) -> None:
    depth, count = DEEPEST - 2, 500
    body = b"".join(raw(0x00420000 + number, b"LO", b"x") for number in range(1, count))
    body += raw(0x00430011, b"OB", b"\1\2" * 600)
    head = in_sequences(depth, body) + raw(0x00990010, b"LO", b"behind")
    whole = Encoding.header
    seen = 0

    def counted(
        self: Encoding, data: Buffer, at: int, end: int, base: int = 0
    ) -> tuple[int, bytes, int, int]:
        nonlocal seen
        seen += 1
        return whole(self, data, at, end, base)

    monkeypatch.setattr(Encoding, "header", counted)
    told = strict(json_of(head, b"", lambda path: "/".join(map(str, path)), {}))
    # Once for what is told, and once to look for the character set and the sign of pixels.
    assert seen < 2 * count
    assert told["00990010"]["Value"] == ["behind"]
    for _ in range(depth):
        (told,) = told["0040A730"]["Value"]
    assert len(told) == count
    path = (*(0x0040A730, 0) * depth, 0x00430011)
    assert told["00430011"]["BulkDataURI"] == "/".join(map(str, path))
    seen = 0
    found = bulk_of(head, b"", path)
    assert found is not None
    assert head[found.start : found.stop] == b"\1\2" * 600
    assert seen < 2 * count


def test_an_item_that_does_not_end_ends_all_it_lies_in() -> None:
    head = in_sequences(2, raw(0x00420010, b"LO", b"x"))
    assert strict(json_of(head[:-8], b"", str, {})).keys() == {"00080016", "00080018"}
    assert bulk_of(head[:-8], b"", (0x0040A730, 0, 0x0040A730, 1, 0x00420010)) is None


def test_more_than_can_be_told_is_refused() -> None:
    # In implicit VR, where a value may be so long.
    values = b"1\\" * MOST_ELEMENTS + b"1 "
    long = b"\x06\x30\x50\x00" + len(values).to_bytes(4, "little") + values
    with pytest.raises(TooLarge):
        json_of(written(Dataset(), ImplicitVRLittleEndian) + long, b"", str, {})
    names = b"a\\" * (MOST_TOLD // 19 // 8) + b"a "
    long = b"\x40\x00\x23\xa1" + len(names).to_bytes(4, "little") + names
    items = [b"\xfe\xff\x00\xe0" + len(long).to_bytes(4, "little") + long] * 8
    body = b"".join(items)
    sequence = b"\x40\x00\x30\xa7" + len(body).to_bytes(4, "little") + body
    with pytest.raises(TooLarge):
        json_of(written(Dataset(), ImplicitVRLittleEndian) + sequence, b"", str, {})


def test_what_is_too_deep_or_broken_takes_nothing_else_with_it() -> None:
    image = Dataset()
    image.PatientID = "there"
    inner = Dataset()
    for _ in range(3 * DEEPEST):
        outer = Dataset()
        outer.ContentSequence = Sequence([inner])
        inner = outer
    image.ContentSequence = inner.ContentSequence
    assert model(written(image))["00100020"]["Value"] == ["there"]
    head = written(Dataset()) + b"\x20\x00\x10\x00LO\xff\xffcut"
    assert strict(json_of(head, b"", str, {}))["00080018"]["Value"] == ["1.2.3"]
