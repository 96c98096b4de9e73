"""Items and delimiters are not elements: a length that spells a VR is a length, wherever an item can stand."""

import struct
import zlib

import pytest

from mdm_async.dicom.elements import (
    DEFLATED,
    EXPLICIT_BIG,
    EXPLICIT_LITTLE,
    IMPLICIT_LITTLE,
    LONG_VRS,
    SHORT_VRS,
    Encoding,
)
from mdm_async.dicom.items import BIG, LITTLE
from mdm_async.dicom.part10 import Splitter
from mdm_async.dicom.pixels.inspector import Inspector
from mdm_async.dicom.walking import Nesting, items, walk
from mdm_async.errors import Malformed
from tests.canary_pixels import JPEG_REST, JPEG_START
from tests.dicom.conftest import Parts, Write, cut

SPELLED = sorted(int.from_bytes(vr, "little") for vr in SHORT_VRS | LONG_VRS)
"""Lengths whose low 16 bits spell a VR in little endian."""
LENGTHS = [*SPELLED, SPELLED[3] + (1 << 16), SPELLED[-1] + (5 << 16)]
SYNTAXES = {
    EXPLICIT_LITTLE: "1.2.840.10008.1.2.1",
    IMPLICIT_LITTLE: "1.2.840.10008.1.2",
    EXPLICIT_BIG: "1.2.840.10008.1.2.2",
}
JPEG = "1.2.840.10008.1.2.4.50"
PIXELS, SEQUENCE, PRIVATE = 0x7FE00010, 0x00082218, 0x00091001
NAME, THICKNESS = 0x00100010, 0x00180050


def of_length(write: Write, length: int) -> bytes:
    """A data set of that many bytes: a name, and something private."""
    name = write.element(NAME, "PN", b"Smith^John")
    start = len(write.header(PRIVATE, "OB", 0))
    return name + write.header(PRIVATE, "OB", length - len(name) - start) + bytes(length - len(name) - start)


def in_sequences(write: Write, body: bytes, depth: int, *, undefined: bool, vr: str = "SQ") -> bytes:
    """An item of defined length, inside as many sequences, of items, of defined or undefined length."""
    sequence = write.item(body)
    for level in range(depth):
        last = level == depth - 1
        header = write.header(SEQUENCE, vr if last else "SQ", 0xFFFFFFFF if undefined else len(sequence))
        sequence = header + sequence + (write.delimiter(0xFFFEE0DD) if undefined else b"")
        if not last:
            sequence = write.item(sequence, undefined=undefined)
    return sequence


def picture(write: Write) -> tuple[bytes, bytes]:
    """The description of a grey picture of 2 rows and 4 columns, and its pixels."""
    order = ">" if write.encoding.big_endian else "<"
    numbers = {0x00280010: 2, 0x00280011: 4, 0x00280100: 8, 0x00280101: 8, 0x00280102: 7, 0x00280103: 0}
    described = write.element(0x00280002, "US", struct.pack(order + "H", 1))
    described += write.element(0x00280004, "CS", b"MONOCHROME2")
    described += b"".join(write.element(tag, "US", struct.pack(order + "H", n)) for tag, n in numbers.items())
    return described, write.element(PIXELS, "OW", bytes(8))


def cut_at_every_edge(data: bytes, near: int) -> Parts:
    """Cut whole, and with a chunk's end at each place around `near`; it must not matter."""
    whole = cut(data)
    for edge in range(near - 2, near + 14):
        parts = cut(data, [edge, len(data)])
        assert (parts.head, parts.pixels, parts.tail) == (whole.head, whole.pixels, whole.tail)
    return whole


@pytest.mark.parametrize("reader", [LITTLE, BIG])
def test_every_length_is_read_as_it_is_written(reader):
    for length in (*range(0x4100, 0x5B00), *(vr << 16 for vr in SPELLED), 0, 0xFFFFFFFF):
        for tag in (0xFFFEE000, 0xFFFEE00D, 0xFFFEE0DD):
            assert reader.header(reader.encoded(tag, length), 0, 8) == (tag, 8, length)


def test_an_element_is_no_item_and_an_item_no_element(write):
    with pytest.raises(Malformed, match="neither an item nor a delimiter"):
        LITTLE.header(write.element(NAME, "PN", b"Smith^John"), 0, 18)
    for encoding in (EXPLICIT_LITTLE, EXPLICIT_BIG, IMPLICIT_LITTLE):
        for length in (0, 20300, 20300 << 16):
            with pytest.raises(Malformed, match="where an element should be"):
                encoding.header(encoding.items.encoded(0xFFFEE000, length), 0, 8)


@pytest.mark.parametrize("length", LENGTHS)
@pytest.mark.parametrize("where", ["fragment", "offset table"])
def test_fragments_of_every_length_are_stepped_over(write, where, length):
    table, fragment = (b"", bytes(length)) if where == "fragment" else (bytes(length), b"")
    pixels = write.undefined(PIXELS, "OB", write.item(table) + write.item(fragment) + write.item(b"\1\2"))
    tail = write.element(0xFFFCFFFC, "OB", b"\1\1")
    data = write.file(pixels + tail, JPEG)
    parts = cut_at_every_edge(data, data.index(pixels) + 12 + (8 if where == "fragment" else 0))
    assert (parts.pixels, parts.tail) == (pixels, tail)
    assert parts.splitter.pixel_value_length == len(pixels) - 12


@pytest.mark.parametrize("length", LENGTHS)
def test_fragments_of_every_length_are_looked_into(write, length):
    comment = length - len(JPEG_START + JPEG_REST)
    comments = b""
    while comment > 0:  # a JPEG comment takes 64 kB at most
        some = min(comment, 60_000)
        comments += b"\xff\xfe" + struct.pack(">H", some - 2) + b"x" * (some - 4)
        comment -= some
    frame = JPEG_START + comments + JPEG_REST
    assert len(frame) == length
    pixels = write.undefined(PIXELS, "OB", write.item(b"") + write.item(frame))
    inspector = Inspector(JPEG)
    for at in range(0, len(pixels), 7777):
        inspector.feed(pixels[at : at + 7777])
    assert inspector.findings() == ("JPEG comment",)
    assert inspector.delimited


@pytest.mark.parametrize("encoding", SYNTAXES, ids=repr)
@pytest.mark.parametrize("undefined", [False, True], ids=["defined", "undefined"])
@pytest.mark.parametrize("depth", [1, 2, 3])
def test_items_of_every_length_are_walked_cut_and_scrubbed(encoding: Encoding, undefined, depth):
    write = Write(encoding)
    for length in LENGTHS:
        body = of_length(write, length)
        sequence = in_sequences(write, body, depth, undefined=undefined)
        (found,) = walk(sequence, 0, len(sequence), encoding)
        for _ in range(depth):
            (item,) = items(sequence, found, encoding)
            found = next(walk(sequence, item.start, item.end, item.encoding))
        assert (item.end - item.start, found.tag) == (length, NAME)
        thickness, tail = write.element(THICKNESS, "DS", b"2.5 "), write.element(0xFFFCFFFC, "OB", b"\1\1")
        described, pixels = picture(write)
        data = write.file(sequence + thickness + described + pixels + tail, SYNTAXES[encoding])
        parts = cut_at_every_edge(data, data.index(body) - 8)
        assert (parts.pixels, parts.tail) == (pixels, tail)
        head = parts.scrub().head
        assert thickness in head
        assert b"Smith" not in head


@pytest.mark.parametrize("encoding", [EXPLICIT_LITTLE, EXPLICIT_BIG], ids=repr)
@pytest.mark.parametrize("inside", [EXPLICIT_LITTLE, IMPLICIT_LITTLE], ids=repr)
@pytest.mark.parametrize("undefined", [False, True], ids=["defined", "undefined"])
def test_items_of_every_length_in_un_are_little_endian(encoding: Encoding, inside: Encoding, undefined):
    outer, write = Write(encoding), Write(inside)
    for length in LENGTHS:
        item = write.item(of_length(write, length))
        end = write.delimiter(0xFFFEE0DD) if undefined else b""
        sequence = outer.header(SEQUENCE, "UN", 0xFFFFFFFF if undefined else len(item)) + item + end
        thickness = outer.element(THICKNESS, "DS", b"2.5 ")
        described, pixels = picture(outer)
        data = outer.file(sequence + thickness + described + pixels, SYNTAXES[encoding])
        parts = cut_at_every_edge(data, data.index(item))
        assert parts.pixels == pixels
        head = parts.scrub().head
        assert thickness in head
        assert b"Smith" not in head


@pytest.mark.parametrize("undefined", [False, True], ids=["defined", "undefined"])
def test_items_of_every_length_after_the_pixels_and_in_deflated_files(write, undefined):
    for length in LENGTHS:
        sequence = in_sequences(write, of_length(write, length), 2, undefined=undefined)
        thickness = write.element(THICKNESS, "DS", b"2.5 ")
        described, pixels = picture(write)
        body = write.file(sequence + thickness + described + pixels + sequence, DEFLATED)
        meta = body.index(b"\x08\x00\x16\x00UI")
        deflater = zlib.compressobj(wbits=-15)
        parts = cut(body[:meta] + deflater.compress(body[meta:]) + deflater.flush(), [501])
        assert (parts.pixels, parts.tail) == (pixels, sequence)
        scrubbed = parts.scrub()
        assert thickness in scrubbed.head
        assert b"Smith" not in scrubbed.head + scrubbed.tail


@pytest.mark.parametrize("vr", sorted(SHORT_VRS | LONG_VRS))
def test_items_of_big_endian_gigabytes_are_stepped_over(vr):
    """There the high half of the length is what could be taken for a VR."""
    length = int.from_bytes(vr, "big") << 16
    nesting = Nesting(EXPLICIT_BIG)
    nesting.enter(SEQUENCE, b"SQ", 0)
    header = BIG.encoded(0xFFFEE000, length)
    assert nesting.header_size(header, 0, 8) == 8
    assert nesting.step(header, 0, 8) == (0xFFFEE000, 8, length)


def test_a_file_of_a_thousand_frames_of_unlucky_lengths_goes_through(write):
    fragments = b"".join(write.item(bytes(SPELLED[number % len(SPELLED)])) for number in range(1000))
    pixels = write.undefined(PIXELS, "OB", write.item(b"") + fragments)
    splitter = Splitter()
    data = write.file(pixels, JPEG)
    found = sum(
        len(piece.data)
        for at in range(0, len(data), 1 << 16)
        for piece in splitter.feed(data[at : at + (1 << 16)])
    )
    splitter.close()
    assert found == len(data)


@pytest.mark.parametrize("encoding", SYNTAXES, ids=repr)
@pytest.mark.parametrize(
    "last",
    [
        (PRIVATE, "OB", b"\1\2"),
        (0x60000010, "US", b"\0\1"),
        (0x00080100, "SH", b"T-1 "),
        (NAME, "PN", b"A^B "),
    ],
    ids=["private", "overlay", "code", "name"],
)
def test_whatever_is_last_in_an_item_its_delimiter_ends_it(encoding, last):
    write = Write(encoding)
    sequence = write.sequence(SEQUENCE, write.element(*last), undefined=True)
    thickness = write.element(THICKNESS, "DS", b"2.5 ")
    assert thickness in cut(write.file(sequence + thickness, SYNTAXES[encoding])).scrub().head
