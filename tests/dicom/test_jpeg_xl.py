"""JPEG XL pictures are walked by their boxes and their frames' tables; what is no picture is overwritten or refused.

The samples were written by libjxl, through its plug-in for Pillow, which also showed that cleaned ones look the same.
"""

from pathlib import Path

import pytest

from mdm_async.errors import ScrubRefused
from tests.canary_pixels import described, encapsulated, fragments_alone
from tests.dicom.test_inspector import inspect
from tests.pipeline import assembled, basic, cut, deidentified

SAMPLES = {path.stem: path.read_bytes() for path in sorted(Path(__file__).with_name("jpeg_xl").iterdir())}
BOXED = ("boxes", "recompressed")
SYNTAXES = [f"1.2.840.10008.1.2.4.{number}" for number in (110, 111, 112)]
SECRET = b"SECRET^WOMAN"
BOX = ("JPEG XL metadata box",)
AFTER = ("bytes after the end of a codestream",)


def file(write, picture: bytes, syntax: str = SYNTAXES[0]) -> bytes:
    return write.file(described(rows=64, columns=64, frames=b"1"), syntax) + encapsulated(picture)


def found(picture: bytes, size: int = 1 << 20) -> tuple[str, ...]:
    return inspect(SYNTAXES[0], encapsulated(picture), size)


def box(kind: bytes, body: bytes) -> bytes:
    return (8 + len(body)).to_bytes(4, "big") + kind + body


SIGNATURE = box(b"JXL ", b"\r\n\x87\n")
FILE_TYPE = box(b"ftyp", b"jxl \0\0\0\0jxl ")
GREY = SAMPLES["grey-lossless"]


@pytest.mark.parametrize("name", sorted(set(SAMPLES) - set(BOXED)))
@pytest.mark.parametrize("size", [1, 5, 1 << 20])
def test_a_bare_codestream_ends_where_its_tables_say(name, size):
    picture = SAMPLES[name]
    assert found(picture, size) == ()
    assert found(picture + b"\0", size) == ()
    assert found(picture + SECRET, size) == AFTER
    assert found(picture[:-3], size) == ("a codestream without its end",)


@pytest.mark.parametrize("syntax", SYNTAXES)
@pytest.mark.parametrize("piece", [7, 1 << 16])
@pytest.mark.parametrize("name", SAMPLES)
def test_views_hold_the_picture_alone(write, name, syntax, piece):
    for picture in (SAMPLES[name], SAMPLES[name] + SECRET):
        made = assembled(cut(file(write, picture, syntax)), basic(), piece=piece)
        assert b"SECRET" not in made
        pixels = cut(made).pixels
        assert len(pixels) == len(encapsulated(picture))
        assert inspect(syntax, pixels) == ()
        if name not in BOXED:
            assert pixels == encapsulated(SAMPLES[name] + bytes(len(picture) - len(SAMPLES[name])))


@pytest.mark.parametrize("size", [1, 9, 1 << 20])
@pytest.mark.parametrize("kind", [b"Exif", b"xml ", b"jumb", b"brob", b"jbrd", b"jxli", b"uuid", b"free"])
def test_boxes_that_are_no_picture_are_overwritten(write, kind, size):
    picture = SIGNATURE + FILE_TYPE + box(kind, SECRET) + box(b"jxlc", GREY + SECRET) + box(kind, SECRET)
    assert set(found(picture, size)) == {*BOX, "bytes after the end of a JPEG XL codestream", *AFTER}
    pixels = cut(assembled(cut(file(write, picture)), basic(), piece=size)).pixels
    cleaned = SIGNATURE + FILE_TYPE + box(b"free", bytes(12)) + box(b"jxlc", GREY + bytes(12)) + bytes(20)
    assert pixels == encapsulated(cleaned)


@pytest.mark.parametrize("size", [1, 9, 1 << 20])
@pytest.mark.parametrize("at", [1, 2, 7, 20, 43])
def test_a_codestream_may_lie_in_parts(at, size):
    one, two = b"\0\0\0\0" + GREY[:at], b"\x80\0\0\1" + GREY[at:]
    whole = SIGNATURE + FILE_TYPE + box(b"jxll", b"\5")
    assert found(whole + box(b"jxlp", one) + box(b"jxlp", two), size) == ()
    between = box(b"jxlp", one) + box(b"Exif", SECRET) + box(b"jxlp", two)
    assert found(whole + between, size) == BOX
    assert found(whole + box(b"jxlp", two) + box(b"jxlp", one), size)
    assert found(whole + box(b"jxlp", one) + box(b"jxlp", b"DOE^" + two[4:]), size)


def test_a_last_box_without_a_length_ends_with_the_codestream():
    last = bytes(4) + b"jxlc" + GREY
    assert found(SIGNATURE + FILE_TYPE + last) == ()
    assert found(SIGNATURE + FILE_TYPE + last + SECRET)
    assert found(SIGNATURE + bytes(4) + b"Exif" + SECRET) == ("a JPEG XL box without its length",)


@pytest.mark.parametrize("kind", [b"ftyp", b"jxll"])
def test_describing_boxes_say_what_they_have_to(kind):
    body = b"SECRET^WOMAN" if kind == b"ftyp" else b"J"
    assert found(SIGNATURE + box(kind, body) + box(b"jxlc", GREY)) == (
        "a JPEG XL box with more than it has to say",
    )


class Bits:
    """Writes numbers of some bits, the lowest first."""

    def __init__(self) -> None:
        self.value = self.count = 0

    def add(self, *numbers: tuple[int, int]) -> "Bits":
        """(bits, number) of each."""
        for bits, number in numbers:
            self.value |= number << self.count
            self.count += bits
        return self

    def bytes(self) -> bytes:
        return self.value.to_bytes((self.count + 7) // 8, "little")


SIZE = ((1, 1), (5, 0), (3, 1))
"""8 × 8 pixels."""
PLAIN = (*SIZE, (1, 1), (1, 1))
FRAME = ((1, 0), (2, 0), (1, 1), (2, 0), (2, 0), (2, 1), (2, 0), (1, 0), (2, 0), (1, 1))
"""A modular one, the last, up to its name."""
METADATA = ((1, 0), (1, 0), (1, 0), (2, 0), (1, 1))
"""Eight bits for each of the samples, up to the number of further channels."""


def picture(*parts: tuple[tuple[int, int], ...], more: bytes = b"") -> bytes:
    bits = Bits()
    for part in parts:
        bits.add(*part)
        bits.count += -bits.count % 8
    return b"\xff\x0a" + bits.bytes() + more


SECTION = ((2, 0), (10, 3))


@pytest.mark.parametrize(
    ("made", "finding"),
    [
        (picture(PLAIN, (*FRAME, (2, 0), (1, 1), (2, 0), (1, 0)), SECTION, more=b"abc"), None),
        (picture(PLAIN, ((1, 1), (1, 0)), SECTION, more=b"abc"), None),
        (picture(PLAIN, (*FRAME, (2, 1), (4, 3), (24, 0x4E4F45)), SECTION), "a JPEG XL name"),
        (picture(PLAIN, (*FRAME, (2, 0), (1, 1), (2, 1), (4, 0)), SECTION), "a JPEG XL extension"),
        (picture(PLAIN, (*FRAME, (2, 0), (1, 0), (1, 1), (1, 1)), SECTION), "a JPEG XL filter"),
        (picture(PLAIN, ((1, 1), (1, 1)), SECTION), "an order of their own"),
        (picture((*PLAIN, (3, 5)), ((1, 1), (1, 0)), SECTION), "more than it has to say"),
        (picture((*SIZE, (1, 1), (1, 0)), ((1, 1), (1, 0)), SECTION), "a JPEG XL transformation"),
        (picture((*SIZE, (1, 0), (1, 1), (3, 0), (1, 1))), "a JPEG XL size of its own"),
        (picture((*SIZE, (1, 0), (1, 1), (3, 0), (1, 0), (1, 1))), "a JPEG XL preview"),
        (picture((*SIZE, (1, 0), (1, 1), (3, 0), (1, 0), (1, 0), (1, 1))), "a JPEG XL animation"),
        (picture((*SIZE, *METADATA, (2, 0), (1, 1), (1, 0), (1, 1))), "a JPEG XL colour profile"),
        (picture((*SIZE, *METADATA, (2, 1), (1, 0), (2, 1))), "a JPEG XL channel"),
        (
            picture((*SIZE, *METADATA, (2, 1), (1, 0), (2, 0), (1, 0), (2, 0), (2, 0), (2, 1), (4, 1))),
            "a JPEG XL name",
        ),
        (b"\xff\x0b" + GREY[2:], "no JPEG XL codestream"),
        (SECRET, "no JPEG XL codestream"),
    ],
)
def test_headers_say_no_more_than_a_picture_needs(write, made, finding):
    said = " ".join(found(made + bytes(40)))
    assert (finding in said) if finding else said == ""
    if finding:
        with pytest.raises(ScrubRefused):
            deidentified(file(write, made + bytes(40)))


def test_a_missing_offset_table_is_written(write):
    head = write.file(described(rows=64, columns=64, frames=b"2"), SYNTAXES[0])
    made = deidentified(head + fragments_alone(GREY, SAMPLES["boxes"]))
    assert b"SECRET" not in made
    assert cut(made).pixels.startswith(encapsulated(GREY, offsets=b"\0\0\0\0\x34\0\0\0")[:-8])
