"""Encoded elements are walked without being decoded."""

import io
import warnings

import pydicom
import pytest
from pydicom.uid import UID

from mdm_async.dicom.elements import EXPLICIT_BIG, EXPLICIT_LITTLE, IMPLICIT_LITTLE, encoding_of
from mdm_async.dicom.filemeta import MetaReader
from mdm_async.dicom.walking import items, walk
from mdm_async.errors import Malformed, MdmError

ENCODINGS = [EXPLICIT_LITTLE, EXPLICIT_BIG, IMPLICIT_LITTLE]


def test_the_tags_of_every_sample_are_those_that_pydicom_finds(sample, split):
    data = sample.read_bytes()
    try:
        parts = split(data)
    except MdmError:
        return
    if parts.splitter.deflated:
        data = parts.head + parts.pixels + parts.tail
    meta = MetaReader()
    meta.feed(data)
    encoding = encoding_of(parts.splitter.transfer_syntax)
    ours = sorted(
        {element.tag for element in walk(data, meta.end, len(data), encoding)}
    )  # palettes have one tag twice
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        theirs = pydicom.dcmread(sample, force=True)
    assert ours == sorted(set(theirs.keys()))
    assert UID(parts.splitter.transfer_syntax) == theirs.file_meta.TransferSyntaxUID


@pytest.mark.parametrize("encoding", ENCODINGS, ids=repr)
@pytest.mark.parametrize("undefined", [False, True])
def test_sequences_and_their_items(writer, encoding, undefined):
    write = writer(encoding)
    inner = write.element(0x00100010, "PN", b"A^B ")
    data = write.sequence(0x00082218, inner, b"", inner, undefined=undefined)
    data += write.element(0x00100020, "LO", b"12")
    sequence, after = walk(data, 0, len(data), encoding)
    assert (sequence.tag, sequence.start, sequence.undefined) == (0x00082218, 0, undefined)
    assert (after.start, after.end, data[after.value : after.end]) == (sequence.end, len(data), b"12")
    found = list(items(data, sequence, encoding))
    assert [data[one.start : one.end] for one in found] == [inner, b"", inner]
    (name,) = walk(data, found[2].start, found[2].end, found[2].encoding)
    assert data[name.value : name.end] == b"A^B "


def test_items_in_un_are_little_endian_in_either_vr_encoding(writer):
    big, little, implicit = writer(EXPLICIT_BIG), writer(EXPLICIT_LITTLE), writer(IMPLICIT_LITTLE)
    for inside in (little, implicit):
        body = inside.item(inside.element(0x00100010, "PN", b"A^B "), undefined=True)
        data = big.header(0x00082218, "UN", 0xFFFFFFFF) + body + inside.delimiter(0xFFFEE0DD)
        (sequence,) = walk(data, 0, len(data), EXPLICIT_BIG)
        (item,) = items(data, sequence, EXPLICIT_BIG)
        (name,) = walk(data, item.start, item.end, item.encoding)
        assert data[name.value : name.end] == b"A^B "


@pytest.mark.parametrize("encoding", ENCODINGS, ids=repr)
def test_lengths_past_the_end_of_their_container_are_found(writer, encoding):
    write = writer(encoding)
    for data in (
        write.header(0x00091001, "OB", 1000) + b"short",
        write.header(0x00082218, "SQ", 0xFFFFFFFF) + write.delimiter(0xFFFEE000, 1000),
        write.sequence(0x00082218, b"")[:-1],
        b"\x08\x00",
    ):
        with pytest.raises(Malformed, match=r"at byte 10(00|08|12)"):
            list(walk(b"?" * 10 + data, 10, 10 + len(data), encoding, base=990))


def test_an_item_longer_than_its_sequence_is_found(write):
    data = write.element(0x00082218, "SQ", write.delimiter(0xFFFEE000, 90) + bytes(40))
    (sequence,) = walk(data + bytes(200), 0, len(data), EXPLICIT_LITTLE)
    with pytest.raises(Malformed, match="past the end of its sequence"):
        list(items(data + bytes(200), sequence, EXPLICIT_LITTLE))


def test_walking_goes_on_where_pydicom_reads_an_item_in_implicit_vr(write, writer):
    implicit = writer(IMPLICIT_LITTLE)
    data = write.file(write.sequence(0x00082218, implicit.element(0x00080100, "SH", b"T-A0100 ")))
    read = pydicom.dcmread(io.BytesIO(data))
    assert read.AnatomicRegionSequence[0].CodeValue == "T-A0100"
    *_, sequence = walk(data, data.index(b"\x08\x00\x16\x00UI"), len(data), EXPLICIT_LITTLE)
    (item,) = items(data, sequence, EXPLICIT_LITTLE)
    assert item.encoding is IMPLICIT_LITTLE
