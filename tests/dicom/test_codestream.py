"""What is no picture inside encapsulated pixels is found, without decoding them."""

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mdm_async.dicom.codestream import Inspector
from mdm_async.errors import MdmError

BASELINE, LS, J2K = "1.2.840.10008.1.2.4.50", "1.2.840.10008.1.2.4.80", "1.2.840.10008.1.2.4.90"


def inspect(syntax: str, pixels: bytes, size: int = 1 << 20) -> tuple[str, ...]:
    inspector = Inspector(syntax)
    for at in range(0, len(pixels), size):
        inspector.feed(pixels[at : at + size])
    return inspector.findings()


def segment(marker: int, body: bytes = b"") -> bytes:
    return bytes([0xFF, marker]) + (len(body) + 2).to_bytes(2, "big") + body


JFIF = segment(0xE0, b"JFIF\0\1\1\0\0\1\0\1\0\0")
ADOBE = segment(0xEE, b"Adobe\0d\0\0\0\0\0")
COMMENT = segment(0xFE, b"DOE^JANE")
SCAN = segment(0xDA, bytes(6)) + b"\x12\xff\x00\x34\xff\xd0\x56"


def jpeg(*before: bytes, between: bytes = b"", after: bytes = b"") -> bytes:
    frame = segment(0xDB, bytes(65)) + segment(0xC0, bytes(9)) + segment(0xC4, bytes(20))
    return b"\xff\xd8" + b"".join(before) + frame + SCAN + between + SCAN + b"\xff\xd9" + after


def jpeg2000(
    *before: bytes, in_tile: bytes = b"", length: int | None = None, packets: bytes = b"\1\2\xff\x7f"
) -> bytes:
    inside = in_tile + b"\xff\x93" + packets
    size = 12 + len(inside) if length is None else length
    tile = b"\xff\x90\0\x0a\0\0" + size.to_bytes(4, "big") + b"\0\1" + inside
    return b"\xff\x4f" + segment(0x51, bytes(39)) + b"".join(before) + tile + b"\xff\xd9"


def box(kind: bytes, body: bytes) -> bytes:
    return (8 + len(body)).to_bytes(4, "big") + kind + body


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
        (jpeg(segment(0xF1, b"x")), ("JPEG extension segment",)),
        (jpeg(after=b"DOE^JANE"), ("bytes after the end of a codestream",)),
        (jpeg(after=b"\xff\xff"), ("bytes after the end of a codestream",)),
        (jpeg()[:-2], ("a codestream without its end",)),
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
        b"\xff\xd8" + segment(0xF7, bytes(9)) + segment(0xF8, b"\1" + bytes(10)) + segment(0xDA, bytes(6))
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
        (jpeg2000(length=14 + 1), ("bytes that are no JPEG 2000 marker",)),
        (jpeg2000() + b"DOE", ("bytes after the end of a codestream",)),
        (jpeg2000()[:-2], ("a codestream without its end",)),
        (b"DOE^JANE", ("what is no JPEG 2000 codestream",)),
        (box(b"jP  ", b"\r\n\x87\n") + box(b"jp2h", box(b"ihdr", bytes(14))) + box(b"jp2c", jpeg2000()), ()),
        (
            box(b"jP  ", b"\r\n\x87\n") + box(b"xml ", b"<name/>") + box(b"jp2c", jpeg2000(segment(0x64))),
            ("JPEG 2000 metadata box", "JPEG 2000 comment"),
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
    assert inspect(BASELINE, pixels(whole[:50], whole[50:], whole, table=bytes(8))) == ()
    assert inspect(BASELINE, pixels(whole, whole, commented[:7], commented[7:], whole)) == ("JPEG comment",)
    assert inspect(BASELINE, pixels()) == ()


def test_an_offset_table_that_is_none(pixels):
    assert inspect(BASELINE, pixels(jpeg(), table=b"DOE^JANE12")) == ("an offset table that is none",)


def test_what_cannot_be_looked_into_is_a_finding(write, pixels):
    native = write.element(0x7FE00010, "OW", b"DOE^JANE")
    assert inspect("1.2.840.10008.1.2.1", native) == ()
    assert inspect("1.2.840.10008.1.2.5", pixels(b"any")) == ()
    assert inspect(BASELINE, native) == ("native pixels under a transfer syntax of compressed ones",)
    for syntax in ("1.2.840.10008.1.2.4.110", "1.2.840.10008.1.2.1", "1.2.3"):
        assert inspect(syntax, pixels(b"any")) == (
            "compressed pixels of a transfer syntax that is not looked into",
        )


def test_the_samples_are_told_apart(sample, split):
    try:
        parts = split(sample.read_bytes())
    except MdmError:
        return
    findings = inspect(parts.splitter.transfer_syntax, parts.pixels, 999)
    assert findings == inspect(parts.splitter.transfer_syntax, parts.pixels)
    if not parts.splitter.encapsulated or "rle" in sample.name.lower():
        assert findings == ()
    elif "J2K" in sample.name or "jp2k" in sample.name or "JPEG2000" in sample.name:
        assert findings[0] in ("JPEG 2000 comment", "JPEG 2000 metadata box")


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.sampled_from([BASELINE, LS, J2K]), st.lists(st.binary(max_size=60), max_size=5), st.integers(1, 70))
def test_any_bytes_in_any_chunks_end_in_findings(pixels, syntax, fragments, size):
    data = pixels(*fragments)
    assert inspect(syntax, data, size) == inspect(syntax, data)
    if any(fragments):
        assert inspect(syntax, data)
