"""Files that every reader reads, though they break a rule: stored as they are; their views break none."""

import io
import zlib

import pydicom
import pytest

from mdm_async.dicom.elements import DEFLATED, EXPLICIT_BIG, EXPLICIT_LITTLE, IMPLICIT_LITTLE
from mdm_async.dicom.filemeta import read_meta
from mdm_async.dicom.pixels.inspector import Inspector
from mdm_async.dicom.profile import Profile
from mdm_async.dicom.scrub import scrub
from mdm_async.dicom.walking import items, walk
from mdm_async.errors import Malformed, Truncated
from tests.canary_pixels import JPEG_REST, JPEG_START
from tests.dicom.conftest import Parts, Write, cut
from tests.dicom.test_items import JPEG, NAME, PIXELS, SEQUENCE, SPELLED, SYNTAXES, THICKNESS, picture

EXPLICIT = EXPLICIT_LITTLE
CHUNKS = [[1], [7], [1 << 20]]


def joined(parts: Parts) -> bytes:
    return parts.head + parts.pixels + parts.tail


def view(parts: Parts) -> bytes:
    scrubbed = parts.scrub()
    return scrubbed.head + parts.pixels + scrubbed.tail


def image(write: Write) -> bytes:
    described, pixels = picture(write)
    return write.file(write.element(THICKNESS, "DS", b"2.5 ") + described + pixels, SYNTAXES[write.encoding])


@pytest.mark.parametrize("zeros", [1, 2, 3, 7, 8, 9, 12, 16, 100, 4096])
@pytest.mark.parametrize("encoding", SYNTAXES, ids=repr)
def test_zeros_after_the_data_set_are_stored_and_served_to_nobody_else(encoding, zeros):
    write = Write(encoding)
    tail = write.element(0xFFFCFFFC, "OB", b"\1\1")
    for data in (image(write), image(write) + tail, write.file(b"", SYNTAXES[encoding])):
        for sizes in CHUNKS:
            parts = cut(data + bytes(zeros), sizes)
            assert joined(parts) == data + bytes(zeros)
            assert parts.pixels == cut(data).pixels
            assert view(parts) == view(cut(data))


def test_zeros_after_fragments(write):
    pixels = write.undefined(PIXELS, "OB", write.item(b"") + write.item(JPEG_START + JPEG_REST))
    parts = cut(write.file(pixels, JPEG) + bytes(50), [3])
    assert (parts.pixels, parts.tail) == (pixels, bytes(50))


@pytest.mark.parametrize("encoding", SYNTAXES, ids=repr)
def test_zeros_with_something_behind_them_are_no_padding(encoding):
    write = Write(encoding)
    for after in (b"hidden", b"\1", write.element(NAME, "PN", b"A^B")):
        for zeros in (8, 16, 4096):
            for sizes in CHUNKS:
                with pytest.raises(Malformed, match=r"after the zeros|no known VR"):
                    cut(image(write) + bytes(zeros) + after + bytes(8), sizes)
    for zeros in (1, 3, 7):
        with pytest.raises((Malformed, Truncated)):
            cut(image(write) + bytes(zeros) + b"hidden")


@pytest.mark.parametrize("encoding", [EXPLICIT_LITTLE, EXPLICIT_BIG], ids=repr)
def test_zeros_inside_an_item_are_no_padding(encoding):
    write = Write(encoding)
    sequence = write.sequence(SEQUENCE, write.element(0x00080100, "SH", b"T1") + bytes(16))
    data = write.file(sequence, SYNTAXES[encoding])
    with pytest.raises(Malformed):
        cut(data).scrub()


def blank(write: Write, vr: bytes, tag: int, value: bytes) -> bytes:
    """An element with this in place of a VR, and a length of two bytes."""
    return write.element(tag, "LO", value).replace(b"LO", vr, 1)


@pytest.mark.parametrize("encoding", [EXPLICIT_LITTLE, EXPLICIT_BIG], ids=repr)
@pytest.mark.parametrize("vr", [b"  ", b"??", b"\0\0"], ids=["spaces", "questions", "zeros"])
def test_blank_vrs_are_read_and_the_vr_that_is_due_is_written(encoding, vr):
    write = Write(encoding)
    data = write.file(
        blank(write, vr, 0x00081030, b"Smith's knee")
        + blank(write, vr, NAME, b"Smith^John")
        + blank(write, vr, THICKNESS, b"2.5 ")
        + blank(write, vr, 0x00180088, b"")
        + blank(write, vr, 0x00181030, b"")
        + write.element(0x0020000D, "UI", b"1.2.3"),
        SYNTAXES[encoding],
    )
    for sizes in CHUNKS:
        parts = cut(data, sizes)
        assert parts.head == data
    made = parts.scrub().head
    assert write.element(THICKNESS, "DS", b"2.5 ") in made
    assert b"Smith" not in made
    meta = read_meta(made)
    assert all(
        element.vr not in (b"  ", b"??", b"\0\0") for element in walk(made, meta.end, len(made), encoding)
    )
    assert pydicom.dcmread(io.BytesIO(made)).SliceThickness == 2.5


@pytest.mark.parametrize("vr", [b"  ", b"??", b"\0\0"], ids=["spaces", "questions", "zeros"])
@pytest.mark.parametrize("undefined", [False, True], ids=["defined", "undefined"])
def test_blank_vrs_inside_items(write, vr, undefined):
    first = write.sequence(SEQUENCE, blank(write, vr, 0x00181210, b"B30 "), undefined=undefined)
    later = write.sequence(
        0x00082228,
        write.element(0x00080100, "SH", b"T-A0")
        + blank(write, vr, 0x00080102, b"SRT ")
        + blank(write, vr, 0x00080104, b""),
        undefined=undefined,
    )
    data = write.file(first + later + write.element(THICKNESS, "DS", b"2.5 "))
    for sizes in CHUNKS:
        made = cut(data, sizes).scrub().head
    read = pydicom.dcmread(io.BytesIO(made))
    assert (read.SliceThickness, read.AnatomicRegionSequence[0].ConvolutionKernel) == (2.5, "B30")


def test_a_sequence_whose_vr_is_blank_is_dropped_not_gone_into(write):
    inner = write.item(write.element(NAME, "PN", b"Smith^John"))
    data = write.file(blank(write, b"??", SEQUENCE, inner) + write.element(THICKNESS, "DS", b"2.5 "))
    made = cut(data).scrub().head
    assert b"Smith" not in made
    assert "AnatomicRegionSequence" not in pydicom.dcmread(io.BytesIO(made))


def test_blank_vrs_of_private_elements_that_are_kept(write):
    data = write.file(
        write.element(0x00190010, "LO", b"SIEMENS MR HEADER")
        + blank(write, b"??", 0x0019100C, b"100 ")
        + write.element(0x00200011, "IS", b"1 ")
    )
    parts = cut(data)
    kept = Profile("private", options=frozenset({"retain_safe_private"}))
    made = scrub(parts.head, b"", profile=kept, key=bytes(32), pixels=parts.facts).head
    assert pydicom.dcmread(io.BytesIO(made))[0x0019100C].VR == "IS"


@pytest.mark.parametrize("value", [b"", b"Smith^John"])
def test_a_blank_vr_with_a_length_of_four_bytes_is_refused(write, value):
    long = write.element(0x00104000, "UT", value).replace(b"UT", b"??", 1)
    with pytest.raises((Malformed, Truncated)):
        cut(write.file(long + write.element(0x00200011, "IS", b"1 ")))


def test_pixels_whose_vr_is_blank_are_stored_but_not_served(write):
    described, _ = picture(write)
    parts = cut(write.file(described + blank(write, b"??", PIXELS, bytes(8))))
    inspector = Inspector("1.2.840.10008.1.2.1")
    inspector.feed(parts.pixels)
    assert inspector.findings() == ("pixels whose VR is left blank",)


@pytest.mark.parametrize("encoding", SYNTAXES, ids=repr)
@pytest.mark.parametrize("length", [0xFFFFFFFF, 1, 7, 0x54494D53])
def test_delimiters_with_a_length_end_what_they_end(encoding, length):
    write = Write(encoding)
    name, thickness = write.element(NAME, "PN", b"Smith^John"), write.element(THICKNESS, "DS", b"2.5 ")
    item = write.delimiter(0xFFFEE000, 0xFFFFFFFF) + name + write.delimiter(0xFFFEE00D, length)
    odd = write.header(SEQUENCE, "SQ", 0xFFFFFFFF) + item * 2 + write.delimiter(0xFFFEE0DD, length)
    outer = write.sequence(0x00082228, odd, odd, undefined=True)
    right = write.sequence(SEQUENCE, name, name, undefined=True)
    proper = write.sequence(0x00082228, right, right, undefined=True)
    for sizes in CHUNKS:
        parts = cut(write.file(odd + outer + thickness, SYNTAXES[encoding]), sizes)
        assert joined(parts) == write.file(odd + outer + thickness, SYNTAXES[encoding])
    expected = cut(write.file(right + proper + thickness, SYNTAXES[encoding]))
    assert view(parts) == view(expected)
    (sequence,) = walk(odd, 0, len(odd), encoding)
    assert [odd[item.start : item.end] for item in items(odd, sequence, encoding)] == [name, name]


def deflated(data: bytes) -> bytes:
    at = read_meta(data).end
    deflater = zlib.compressobj(wbits=-15)
    return data[:at] + deflater.compress(data[at:]) + deflater.flush()


@pytest.mark.parametrize("zeros", [0, 1, 2, 3, 8, 9, 10, 100])
@pytest.mark.parametrize("checksum", [False, True])
def test_zeros_after_a_deflated_stream(write, zeros, checksum):
    described, pixels = picture(write)
    data = write.file(described + pixels, DEFLATED)
    inflated = data[read_meta(data).end :]
    trailer = zlib.crc32(inflated).to_bytes(4, "little") + len(inflated).to_bytes(4, "little")
    sent = deflated(data) + (trailer if checksum else b"") + bytes(zeros)
    for sizes in CHUNKS:
        parts = cut(sent, sizes)
        assert parts.original == sent
        assert joined(parts) == data
    for hidden in (b"x", b"hidden bytes"):
        with pytest.raises(Malformed, match="after the end"):
            cut(sent + hidden)


@pytest.mark.parametrize("wrong", [0, 4, 12, 0x7FFFFFFF])
@pytest.mark.parametrize("syntax", ["1.2.840.10008.1.2.1", DEFLATED])
def test_wrong_group_lengths_are_not_believed(write, wrong, syntax):
    described, pixels = picture(write)
    right = write.file(write.element(0x00280000, "UL", b"\7\0\0\0") + described + pixels, syntax)
    data = right[:140] + wrong.to_bytes(4, "little") + right[144:]
    if syntax == DEFLATED:
        data = data[: read_meta(right).end] + deflated(right)[read_meta(right).end :]
    for sizes in CHUNKS:
        parts = cut(data, sizes)
        assert parts.pixels == pixels
    made = pydicom.dcmread(io.BytesIO(view(parts)))
    assert 0x00280000 not in made
    assert made.file_meta.FileMetaInformationGroupLength == len(read_and_written_meta(view(parts)))


def read_and_written_meta(data: bytes) -> bytes:
    return data[144 : read_meta(data).end]


@pytest.mark.parametrize("vr", ["OB", "LO"])
@pytest.mark.parametrize("undefined", [False, True], ids=["defined", "undefined"])
def test_the_first_element_of_an_implicit_item_in_un_may_have_a_length_that_spells_a_vr(
    write, writer, vr, undefined
):
    implicit = writer(IMPLICIT_LITTLE)
    for length in (*SPELLED, SPELLED[0] + (3 << 16)):
        for filling in (b"\0", b"x"):
            body = implicit.header(0x00091001, vr, length) + filling * length
            body += implicit.element(NAME, "PN", b"Smith^John")
            sequence = write.undefined(0x00091002, "UN", implicit.item(body, undefined=undefined))
            thickness = write.element(THICKNESS, "DS", b"2.5 ")
            data = write.file(sequence + thickness)
            for sizes in ([4000], [1 << 20]):
                assert cut(data, sizes).head == data
            (found, _) = walk(sequence + thickness, 0, len(sequence + thickness), EXPLICIT)
            (item,) = items(sequence, found, EXPLICIT)
            assert item.encoding is IMPLICIT_LITTLE
            assert [one.length for one in walk(sequence, item.start, item.end, item.encoding)] == [length, 10]


@pytest.mark.parametrize("undefined", [False, True], ids=["defined", "undefined"])
@pytest.mark.parametrize("first", [0, 2, 4, 10, 65534])
@pytest.mark.parametrize("vr", ["LO", "OB", "UN", "SQ"])
def test_explicit_items_in_un_are_read_as_such(write, vr, first, undefined):
    value = write.item(bytes(first - 8)) if vr == "SQ" and first >= 8 else b"" if vr == "SQ" else bytes(first)
    body = write.element(0x00090010, vr, value)
    for rest in (b"", write.element(NAME, "PN", b"Smith^John")):
        sequence = write.undefined(0x00091002, "UN", write.item(body + rest, undefined=undefined))
        data = write.file(sequence + write.element(THICKNESS, "DS", b"2.5 "))
        for sizes in ([4000], [1 << 20]):
            assert cut(data, sizes).head == data
        (found,) = walk(sequence, 0, len(sequence), EXPLICIT)
        (item,) = items(sequence, found, EXPLICIT)
        assert item.encoding is EXPLICIT_LITTLE


@pytest.mark.parametrize("vr", [b"  ", b"??", b"\0\0"], ids=["spaces", "questions", "zeros"])
def test_a_value_is_believed_no_more_because_its_vr_is_blank(write, vr):
    lies = blank(write, vr, THICKNESS, b"Smith^John") + blank(write, vr, 0x00180088, b"2.5 ")
    made = cut(write.file(lies)).scrub().head
    assert b"Smith" not in made
    assert write.element(0x00180088, "DS", b"2.5 ") in made
