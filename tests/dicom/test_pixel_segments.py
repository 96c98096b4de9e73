"""Marker segments and boxes that decoders need hold what they have to say, to the last byte; all else is a finding."""

import struct

import pytest

from tests.dicom.test_inspector import (
    BASELINE,
    FRAME,
    HUFFMAN,
    J2K,
    LS,
    QUANTIZATION,
    SCAN,
    SIZE,
    box,
    inspect,
    jpeg,
    jpeg2000,
    segment,
)
from tests.dicom.test_pixel_cleaning import clean_codestreams, encapsulate

MORE = ("a JPEG marker segment with more than it has to say",)
MORE_2000 = ("a JPEG 2000 marker segment with more than it has to say",)
LIES = ("lengths in a JPEG 2000 codestream that are none",)

CODING = segment(0x52, bytes(5) + b"\1\4\4\0\1")
QUANTA = segment(0x5C, b"\x40" + bytes(4))


def lengthened(whole: bytes, more: bytes) -> bytes:
    """A marker segment with bytes after what it has to say."""
    return segment(whole[1], whole[4:] + more)


@pytest.mark.parametrize(
    "whole",
    [
        QUANTIZATION,
        segment(0xDB, b"\0" + bytes(64) + b"\x11" + bytes(128)),
        HUFFMAN,
        HUFFMAN + segment(0xC4, HUFFMAN[4:] + b"\x10\0\2" + bytes(14) + b"\0\1"),
        segment(0xCC, b"\x11\5"),
        segment(0xC3, FRAME),
        segment(0xC0, FRAME[:5] + b"\3R\x21\0G\x11\1B\x11\1"),
        segment(0xDD, b"\0\1"),
        segment(0xDC, b"\0\1"),
    ],
)
def test_a_jpeg_segment_ends_with_what_it_has_to_say(write, whole):
    assert inspect(BASELINE, encapsulate(write, jpeg(whole))) == ()
    last = whole[whole.rindex(b"\xff") :]
    for more in (b"D", b"DO", b"DOE^JANE", b"DOE^JANE*CANARY" * 900):
        assert inspect(BASELINE, encapsulate(write, jpeg(lengthened(last, more)))) == MORE
    assert inspect(BASELINE, encapsulate(write, jpeg(segment(last[1])))) == MORE


def test_a_scan_ends_with_what_it_has_to_say(write):
    scan = lengthened(SCAN[:10], b"JD") + b"\x12"
    assert inspect(BASELINE, encapsulate(write, jpeg(between=scan))) == MORE


@pytest.mark.parametrize(
    ("preset", "findings"),
    [
        (b"\1" + bytes(10), ()),
        (b"\4\2\1\1\1\1", ()),
        (b"\1" + bytes(10) + b"DOE", MORE),
        (b"\4\2\1\1\1\1\1", MORE),
        (b"\2\1\1DOE^JANE", MORE),
        (b"\4", MORE),
        (b"", MORE),
    ],
)
def test_jpeg_ls_presets_are_thresholds_or_dimensions(write, preset, findings):
    stream = b"\xff\xd8" + segment(0xF7, FRAME) + segment(0xF8, preset) + segment(0xDA, b"\1\1\0\0\0\0")
    assert inspect(LS, encapsulate(write, stream + b"\1\xff\xd9")) == findings


@pytest.mark.parametrize(
    "whole",
    [
        CODING,
        segment(0x52, b"\1" + bytes(4) + b"\1\4\4\0\1\x77\x88"),
        CODING + QUANTA,
        CODING + segment(0x5C, b"\x42" + bytes(8)),
        segment(0x5C, b"\x41\0\0"),
        CODING + segment(0x53, b"\0\0\1\4\4\0\1"),
        CODING + segment(0x5D, b"\0\x40" + bytes(4)),
        segment(0x5E, b"\0\0\7"),
        segment(0x5F, b"\0\0\0\1\6\1\2"),
        segment(0x50, b"\0\2\0\0\0\x0b"),
        segment(0x59, b"\0\1"),
    ],
)
def test_a_jpeg_2000_segment_ends_with_what_it_has_to_say(write, whole):
    assert inspect(J2K, encapsulate(write, jpeg2000(whole))) == ()
    start, last = whole[: whole.rindex(b"\xff")], whole[whole.rindex(b"\xff") :]
    # As many as would be the quantization of two levels more, too.
    for more in (b"D", b"DOE^JANE", b"DOEJAN", b"DOE^JANE*CAN"):
        assert inspect(J2K, encapsulate(write, jpeg2000(start, lengthened(last, more)))) == MORE_2000
    assert inspect(J2K, encapsulate(write, jpeg2000(start, segment(last[1])))) == MORE_2000


def test_components_are_as_many_as_the_size_says(write):
    for size in (lengthened(SIZE, b"DOE"), segment(0x51, SIZE[4:39] + b"\2\7\1\1DOE"), segment(0x51)):
        assert inspect(J2K, encapsulate(write, jpeg2000(size))) == MORE_2000
    beyond = segment(0x53, b"D\0\1\4\4\0\1")
    assert inspect(J2K, encapsulate(write, jpeg2000(CODING, beyond))) == MORE_2000


@pytest.mark.parametrize("marker", [0x57, 0x60, 0x61, 0x71, 0x78])
def test_jpeg_2000_segments_whose_content_is_free_are_not_known(write, marker):
    found = inspect(J2K, encapsulate(write, jpeg2000(segment(marker, b"\0DOE^JANE"))))
    assert found == ("a JPEG 2000 marker segment of no known kind",)


@pytest.mark.parametrize("size", [1, 1 << 20])
@pytest.mark.parametrize(
    ("listed", "findings"),
    [
        (b"\0\x40" + struct.pack(">L", 18), ()),
        (b"\0\x00" + struct.pack(">H", 18), ()),
        (b"\0\x50\0" + struct.pack(">L", 18), ()),
        (b"\0\x60\0\0" + struct.pack(">L", 18), ()),
        (b"\0\x50\1" + struct.pack(">L", 18), LIES),
        (b"\0\x40" + struct.pack(">L", 19), LIES),
        (b"\0\x40" + struct.pack(">2L", 18, 18), LIES),
        (b"\0\x40" + struct.pack(">L", 18) + b"JD", LIES),
        (b"\1\x40" + struct.pack(">L", 18), LIES),
        (b"\0\x70" + struct.pack(">L", 18), LIES),
        (b"\0\x4f" + struct.pack(">L", 18), LIES),
        (b"\0\x40", LIES),
        (b"J", LIES),
        (b"", LIES),
    ],
)
def test_announced_lengths_of_tile_parts_are_true(write, listed, findings, size):
    for length in (None, 0):
        stream = jpeg2000(segment(0x55, listed), length=length)
        assert inspect(J2K, encapsulate(write, stream), size) == findings


@pytest.mark.parametrize("size", [1, 1 << 20])
@pytest.mark.parametrize(
    ("listed", "findings"),
    [
        ((b"\0\4",), ()),
        ((b"\0\1\3",), ()),
        ((b"\0\1", b"\1\x80\3"), ()),
        ((b"\0\4DOE^JANE",), LIES),
        ((b"\0\4\xff",), LIES),
        ((b"\0\3",), LIES),
        ((b"\1\4",), LIES),
        ((b"\0",), LIES),
        ((b"",), LIES),
    ],
)
def test_announced_lengths_of_packets_are_true(write, listed, findings, size):
    for length in (None, 0):
        stream = jpeg2000(in_tile=b"".join(segment(0x58, one) for one in listed), length=length)
        assert inspect(J2K, encapsulate(write, stream), size) == findings


SRGB = box(b"colr", b"\1\0\0\0\0\0\x10")
SIGNATURE = box(b"jP  ", b"\r\n\x87\n")
IMAGE_HEADER = box(b"ihdr", bytes(9) + b"\1" + bytes(4))
BOX = ("a JPEG 2000 box with more than it has to say",)
COLOURS = ("a JPEG 2000 colour space that is not looked into",)


@pytest.mark.parametrize("size", [1, 1 << 20])
@pytest.mark.parametrize(
    ("boxes", "findings"),
    [
        (box(b"ftyp", b"jp2 \0\0\0\0jp2 jpx "), ()),
        (box(b"ftyp", b"jp2 \0\0\0\0jp2 DOE^JANE"), BOX),
        (box(b"ftyp", b"JANE\0\0\0\0"), BOX),
        (box(b"ftyp", b"jp2"), BOX),
        (box(b"jp2h", IMAGE_HEADER + SRGB), ()),
        (box(b"ihdr", bytes(14) + b"DOE"), BOX),
        (IMAGE_HEADER + box(b"bpcc", b"\7"), ()),
        (IMAGE_HEADER + box(b"bpcc", b"\7DOE"), BOX),
        (IMAGE_HEADER + box(b"bpcc", b"D"), BOX),
        (IMAGE_HEADER + box(b"cdef", b"\0\1\0\0\0\0\0\1"), ()),
        (IMAGE_HEADER + box(b"cdef", b"\0\1\0\0\0\0\0\1DOE^JA"), BOX),
        (IMAGE_HEADER + box(b"cdef", b"\0\1DOE^JA"), BOX),
        (IMAGE_HEADER + box(b"cdef", b""), BOX),
        (box(b"res ", box(b"resc", bytes(10))), ()),
        (box(b"resd", bytes(10) + b"DOE"), BOX),
        (box(b"colr", b"\1\0\0\0\0\0\x10DOE"), COLOURS),
        (box(b"colr", b"\2\0\0" + bytes(16) + b"Lab " + bytes(99)), COLOURS),
        (box(b"colr", b"\4\0\0" + bytes(16) + b"RGB " + bytes(99)), COLOURS),
        (box(b"colr", b""), COLOURS),
        (box(b"pclr", b"\0\3DOE^JANE"), ("a JPEG 2000 box that is not looked into",)),
        (box(b"ftyp", bytes(5000)), ("a JPEG 2000 box that is not looked into",)),
        (box(b"colr", b"\2\0\0" + bytes(16) + b"GRAY" + bytes(99)), ("JPEG 2000 colour profile",)),
    ],
)
def test_boxes_end_with_what_they_have_to_say(write, boxes, findings, size):
    pixels = encapsulate(write, SIGNATURE + boxes + box(b"jp2c", jpeg2000()))
    assert inspect(J2K, pixels, size) == findings


@pytest.mark.parametrize("size", [1, 7, 1 << 20])
@pytest.mark.parametrize(("space", "named"), [(b"RGB ", 16), (b"GRAY", 17)])
def test_a_colour_profile_gives_way_to_the_name_of_its_colours(write, space, named, size):
    profile = bytes(16) + space + b"of JANE DOE"
    pixels = encapsulate(write, SIGNATURE + box(b"colr", b"\3\2\1" + profile) + box(b"jp2c", jpeg2000()))
    new = box(b"colr", b"\1\0\0" + named.to_bytes(4, "big")) + box(b"free", bytes(len(profile) - 12))
    cleaned = encapsulate(write, SIGNATURE + new + box(b"jp2c", jpeg2000()))
    assert clean_codestreams(write, J2K, pixels, size) == cleaned
    assert inspect(J2K, cleaned) == ()
