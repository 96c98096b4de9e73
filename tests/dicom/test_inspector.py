"""What is no picture inside encapsulated pixels is found, without decoding them."""

import struct

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mdm_async.dicom.pixels.description import Description
from mdm_async.dicom.pixels.inspector import Inspector
from mdm_async.dicom.pixels.plain_frames import DEFLATED_FRAMES, UNCOMPRESSED
from mdm_async.dicom.pixels.plan import describe
from mdm_async.errors import MdmError

RLE = "1.2.840.10008.1.2.5"
BASELINE, LS, J2K = "1.2.840.10008.1.2.4.50", "1.2.840.10008.1.2.4.80", "1.2.840.10008.1.2.4.90"

UNKNOWN = "frames that cannot be told apart"
"""Without a description it is not known how many there should be."""


def inspect(
    syntax: str, pixels: bytes, size: int = 1 << 20, about: Description | None = None
) -> tuple[str, ...]:
    inspector = Inspector(syntax, about)
    for at in range(0, len(pixels), size):
        inspector.feed(pixels[at : at + size])
    return inspector.findings()


def segment(marker: int, body: bytes = b"") -> bytes:
    return bytes([0xFF, marker]) + (len(body) + 2).to_bytes(2, "big") + body


JFIF = segment(0xE0, b"JFIF\0\1\1\0\0\1\0\1\0\0")
ADOBE = segment(0xEE, b"Adobe\0d\0\0\0\0\0")
COMMENT = segment(0xFE, b"DOE^JANE")
QUANTIZATION = segment(0xDB, bytes(65))
FRAME = b"\x08\0\3\0\3\1\1\x11\0"
HUFFMAN = segment(0xC4, b"\0\1" + bytes(15) + b"\0")
SCAN = segment(0xDA, b"\1\1\0\0\x3f\0") + b"\x12\xff\x00\x34\xff\xd0\x56"


def jpeg(*before: bytes, between: bytes = b"", after: bytes = b"") -> bytes:
    frame = QUANTIZATION + segment(0xC0, FRAME) + HUFFMAN
    return b"\xff\xd8" + b"".join(before) + frame + SCAN + between + SCAN + b"\xff\xd9" + after


SIZE = segment(0x51, bytes(35) + b"\1\7\1\1")


def jpeg2000(
    *before: bytes, in_tile: bytes = b"", length: int | None = None, packets: bytes = b"\1\2\xff\x7f"
) -> bytes:
    inside = in_tile + b"\xff\x93" + packets
    size = 12 + len(inside) if length is None else length
    tile = b"\xff\x90\0\x0a\0\0" + size.to_bytes(4, "big") + b"\0\1" + inside
    return b"\xff\x4f" + SIZE + b"".join(before) + tile + b"\xff\xd9"


def box(kind: bytes, body: bytes) -> bytes:
    return (8 + len(body)).to_bytes(4, "big") + kind + body


def image(write, syntax: str, bits: int = 8) -> bytes:
    """A head that describes one frame of nine pixels."""
    numbers = {0x00280002: 1, 0x00280010: 3, 0x00280011: 3, 0x00280100: bits}
    body = b"".join(write.element(tag, "US", struct.pack("<H", number)) for tag, number in numbers.items())
    return write.file(body, syntax)


@pytest.fixture
def pixels(write):
    def encapsulate(*fragments: bytes, table: bytes = b"") -> bytes:
        return write.undefined(0x7FE00010, "OB", b"".join(map(write.item, (table, *fragments))))

    return encapsulate


@pytest.mark.parametrize("size", [1, 3, 1 << 20])
@pytest.mark.parametrize(
    ("codestream", "findings"),
    [
        (jpeg(), ()),
        (jpeg(JFIF), ()),
        (jpeg(ADOBE), ()),
        (jpeg(after=b"\0"), ()),
        (jpeg(after=b"\xff"), ()),
        (jpeg(COMMENT), ("JPEG comment",)),
        (jpeg(between=COMMENT), ("JPEG comment",)),
        (jpeg(between=b"\xff\xff" + COMMENT), ("JPEG comment",)),
        (jpeg(segment(0xE1, b"Exif\0\0")), ("JPEG application segment APP1",)),
        (jpeg(segment(0xE0, b"JFIF\0\1\1\0\0\1\0\1\1\1abc")), ("JPEG application segment APP0",)),
        (jpeg(segment(0xE0, b"JFXX\0" + bytes(9))), ("JPEG application segment APP0",)),
        (jpeg(segment(0xE0, b"JFIF\0\1\1\0\0\1\0\1\0\0" + bytes(3))), ()),
        (jpeg(segment(0xEE, b"Adobe\0d\0\0\0\0\0" + b"DOE")), ("JPEG application segment APP14",)),
        (jpeg(segment(0xE8, b"mrfx\1")), ()),
        (jpeg(segment(0xE8, b"mrfx\1DOE")), ("JPEG application segment APP8",)),
        (jpeg(segment(0xFE, bytes(99)), segment(0xE1, bytes(99)), segment(0xE1)), ()),
        (jpeg(segment(0xFE, bytes(99) + b"x")), ("JPEG comment",)),
        (jpeg(segment(0xF1, b"x")), ("JPEG extension segment",)),
        (jpeg(segment(0xC8, b"x")), ("JPEG extension segment",)),
        (jpeg(after=b"DOE^JANE"), ("bytes after the end of a codestream",)),
        (jpeg(after=b"\xff\xff"), ("bytes after the end of a codestream",)),
        (jpeg(after=b"\xff\0\0\xff"), ("bytes after the end of a codestream",)),
        (jpeg(after=b"\xff\0\0"), ()),
        (jpeg(after=b"\0" + jpeg()), ("a second codestream in a fragment",)),
        (jpeg()[:-2], ("a frame without its end marker", UNKNOWN)),
        (jpeg()[:20], ("a codestream without its end",)),
        (jpeg()[:-2] + jpeg(), ("a codestream without its end",)),
        (b"\xff\xd8" + b"hello", ("bytes that are no JPEG marker",)),
        (b"DOE^JANE", ("what is no JPEG codestream",)),
        (jpeg(b"\xff\xfe\0\0"), ("a JPEG marker segment without its length",)),
    ],
)
def test_jpeg(pixels, codestream, findings, size):
    assert inspect(BASELINE, pixels(codestream), size) == findings


@pytest.mark.parametrize("size", [1, 1 << 20])
def test_jpeg_ls_stuffs_bits_not_bytes(pixels, size):
    stream = (
        b"\xff\xd8" + segment(0xF7, FRAME) + segment(0xF8, b"\1" + bytes(10)) + segment(0xDA, b"\1\1\0\0\0\0")
    )
    stream += b"\xff\x7f\xff\x01\xff\x00"
    assert inspect(LS, pixels(stream + b"\xff\xd9"), size) == ()
    assert inspect(LS, pixels(stream + COMMENT + b"\xff\xd9"), size) == ("JPEG comment",)


@pytest.mark.parametrize("size", [1, 5, 1 << 20])
@pytest.mark.parametrize(
    ("codestream", "findings"),
    [
        (jpeg2000(), ()),
        (jpeg2000(length=0), ()),
        (jpeg2000(length=0, packets=b"\1\xff\x91\0\4\0\1\xff\x92\2"), ()),
        (jpeg2000(segment(0x64, b"\0\1Kakadu")), ("JPEG 2000 comment",)),
        (jpeg2000(in_tile=segment(0x64, b"\0\1DOE")), ("JPEG 2000 comment",)),
        (jpeg2000(segment(0x64, bytes(99)), segment(0x63, bytes(4))), ()),
        (jpeg2000(segment(0x63, b"JANE")), ("JPEG 2000 component registration",)),
        (jpeg2000(segment(0x74, b"transform")), ("a JPEG 2000 marker segment of no known kind",)),
        (jpeg2000(b"\xff\x31"), ("bytes that are no JPEG 2000 marker",)),
        (jpeg2000(segment(0x6F, b"DOE")), ("a JPEG 2000 marker segment of no known kind",)),
        (jpeg2000() + jpeg2000(), ("a second codestream in a fragment",)),
        (jpeg2000(length=14 + 1), ("bytes that are no JPEG 2000 marker",)),
        (jpeg2000() + b"DOE", ("bytes after the end of a codestream",)),
        (jpeg2000()[:-2], ("a frame without its end marker", UNKNOWN)),
        (jpeg2000()[:-3], ("a codestream without its end",)),
        (b"DOE^JANE", ("what is no JPEG 2000 codestream",)),
        (box(b"jP  ", b"\r\n\x87\n") + box(b"jp2h", box(b"ihdr", bytes(14))) + box(b"jp2c", jpeg2000()), ()),
        (
            box(b"jP  ", b"\r\n\x87\n")
            + box(b"xml ", b"<name/>")
            + box(b"jp2c", jpeg2000(segment(0x64, b"\0\1x"))),
            ("JPEG 2000 metadata box", "JPEG 2000 comment"),
        ),
        (box(b"jP  ", b"\r\n\x87\n") + box(b"free", bytes(9)) + box(b"jp2c", jpeg2000()), ()),
        (
            box(b"jP  ", b"\r\n\x87\n") + box(b"free", b"DOE") + box(b"jp2c", jpeg2000()),
            ("JPEG 2000 metadata box",),
        ),
        (
            box(b"jP  ", b"\r\n\x87\n") + box(b"jp2c", jpeg2000()) + box(b"uuid", b"DOE"),
            ("bytes after the end of a codestream",),
        ),
    ],
)
def test_jpeg2000(pixels, codestream, findings, size):
    assert inspect(J2K, pixels(codestream), size) == findings


def test_frames_may_take_several_fragments(pixels):
    whole, commented = jpeg(), jpeg(COMMENT)
    table = struct.pack("<2L", 0, len(whole) + 16)
    assert inspect(BASELINE, pixels(whole[:50], whole[50:], whole, table=table)) == ()
    assert inspect(BASELINE, pixels(whole, whole, commented[:7], commented[7:], whole)) == ("JPEG comment",)
    assert inspect(BASELINE, pixels()) == ()


@pytest.mark.parametrize("size", [1, 1 << 20])
@pytest.mark.parametrize(
    "table",
    [b"DOE^JANE12", b"DOE^JANE", bytes(4) + b"JANE", struct.pack("<3L", 0, 0, 8), bytes((1 << 22) + 4)],
)
def test_an_offset_table_that_is_none(pixels, table, size):
    if len(table) < 100 or size > 1:
        data = pixels(jpeg(), jpeg(), table=table)
        assert inspect(BASELINE, data, size) == ("an offset table that is none", UNKNOWN)


def test_more_frames_than_described(write, pixels):
    about, _, _ = describe(image(write, syntax=BASELINE))
    assert inspect(BASELINE, pixels(jpeg()), about=about) == ()
    assert inspect(BASELINE, pixels(jpeg(), jpeg()), about=about) == ("more frames than described",)


HEADER = struct.pack("<16L", 1, 64, *[0] * 14)


@pytest.mark.parametrize("size", [1, 3, 65, 1 << 20])
@pytest.mark.parametrize(
    ("frame", "findings"),
    [
        (HEADER + b"\x08123456789\0\0", ()),
        (HEADER + b"\xf8\x07\0", ()),
        (HEADER + b"\x03abcd\x80\xfc\1", ()),
        (HEADER + b"\xf8\1DOE^JANE", ("bytes after the end of run-length encoded data",)),
        (HEADER + b"\x08123456789" + bytes(99) + b"x", ("bytes after the end of run-length encoded data",)),
        (HEADER + b"\x0fDOE^JANE12345678", ("run-length encoded data of the wrong length",)),
        (HEADER + b"\x08DOE", ("run-length encoded data of the wrong length",)),
        (HEADER + b"\xfa\0", ("run-length encoded data of the wrong length",)),
        (b"DOE^JANE", ("what is no run-length encoded frame",)),
        (b"DOE^JANE" * 9, ("what is no run-length encoded frame",)),
        (
            struct.pack("<16L", 2, 64, 68, *[0] * 13) + b"\xf8\1\xf8\1",
            ("what is no run-length encoded frame",),
        ),
        (struct.pack("<16L", 1, 66, *[0] * 14) + b"JD\xf8\1", ("what is no run-length encoded frame",)),
        (struct.pack("<16L", 1, 64, *[7] * 14) + b"\xf8\1", ("what is no run-length encoded frame",)),
    ],
)
def test_run_length_encoding(write, pixels, frame, findings, size):
    about, _, _ = describe(image(write, syntax=RLE))
    assert inspect(RLE, pixels(frame), size, about) == findings


def test_run_length_encoding_in_several_planes(write, pixels):
    about, _, _ = describe(image(write, syntax=RLE, bits=16))
    header = struct.pack("<16L", 2, 64, 68, *[0] * 13)
    assert inspect(RLE, pixels(header + b"\xf8\1\0\0" + b"\xf8\2"), about=about) == ()
    assert inspect(RLE, pixels(header + b"\xf8\1JD" + b"\xf8\2"), about=about)


def test_what_cannot_be_looked_into_is_a_finding(write, pixels):
    native = write.element(0x7FE00010, "OW", b"DOE^JANE")
    assert inspect("1.2.840.10008.1.2.1", native) == ()
    assert inspect(RLE, pixels(b"any")) == ("run-length encoded frames without their description",)
    assert inspect(BASELINE, native) == ("native pixels under a transfer syntax of compressed ones",)
    for syntax in ("1.2.840.10008.1.2.4.94", "1.2.840.10008.1.2.1", "1.2.3"):
        assert inspect(syntax, pixels(b"any")) == (
            "compressed pixels of a transfer syntax that is not looked into",
        )


def test_the_samples_are_told_apart(sample, split):
    try:
        parts = split(sample.read_bytes())
        about, _, syntax = describe(parts.head)
    except MdmError:
        return
    findings = inspect(syntax, parts.pixels, 999, about)
    assert findings == inspect(syntax, parts.pixels, about=about)
    if not parts.splitter.encapsulated or "rle" in sample.name.lower():
        assert findings == ()
    elif "J2K" in sample.name or "jp2k" in sample.name or "JPEG2000" in sample.name:
        assert findings[0] in ("JPEG 2000 comment", "JPEG 2000 metadata box")


@settings(max_examples=200, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(
    st.sampled_from([BASELINE, LS, J2K, RLE, UNCOMPRESSED, DEFLATED_FRAMES, "1.2.840.10008.1.2.4.110"]),
    st.lists(st.binary(max_size=60), max_size=5),
    st.integers(1, 70),
)
def test_any_bytes_in_any_chunks_end_in_findings(write, pixels, syntax, fragments, size):
    about, _, _ = describe(image(write, syntax=syntax))
    data = pixels(*fragments)
    assert inspect(syntax, data, size, about) == inspect(syntax, data, about=about)
    if any(fragments) and syntax != UNCOMPRESSED:
        assert inspect(syntax, data, about=about)
