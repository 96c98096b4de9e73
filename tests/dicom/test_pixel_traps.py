"""De-identification's traps around pixels and documents, one by one."""

import struct

import pytest

from mdm_async.dicom.pixels.plan import ORIGINAL
from mdm_async.dicom.profile import PixelRule, Profile, Region, basic
from mdm_async.errors import ScrubRefused
from tests.canary_pixels import JPEG_REST, JPEG_START, described, encapsulated, segment
from tests.pipeline import assembled, cut, deidentified, plan_of, read

SECRET = b"SECRET^WOMAN"
JPEG = "1.2.840.10008.1.2.4.50"


def refusal(data: bytes, profile: Profile | None = None) -> str:
    with pytest.raises(ScrubRefused) as refused:
        deidentified(data, profile)
    assert "SECRET" not in str(refused.value)
    return str(refused.value)


def test_trap_icon_image(write):
    icon = described() + write.element(0x7FE00010, "OB", SECRET)
    pixels = write.element(0x7FE00010, "OB", bytes(8))
    data = write.file(described() + write.sequence(0x00880200, icon, undefined=True) + pixels)
    assert cut(data).pixels == pixels
    made = deidentified(data)
    assert SECRET not in made
    assert made.endswith(pixels)


@pytest.mark.parametrize("sop_class", ["104.1", "104.2", "104.3", "104.5"], ids=["PDF", "CDA", "STL", "MTL"])
def test_trap_encapsulated_documents(write, sop_class):
    body = write.element(0x00420010, "ST", SECRET) + write.element(0x00420011, "OB", b"%PDF" + SECRET)
    data = write.file(body, sop_class=sop_class)
    assert "document" in refusal(data)
    allowed = deidentified(data, Profile("documents", documents="allow"))
    assert read(allowed).EncapsulatedDocument.startswith(b"%PDF" + SECRET)
    assert allowed.count(SECRET) == 1  # the payload alone


@pytest.mark.parametrize(
    ("sop_class", "said", "refused"),
    [
        *(("2", b"YES", True), ("2", b"NO", False), ("2", None, False)),
        *(("7", None, True), ("7.2", None, True), ("7", b"NO", False), ("7", b"YES", True)),
        *(("6.1", None, True), ("3.1", None, True), ("6.1", b"NO", False)),
        *(("77.1.1", None, True), ("77.1.4", None, True), ("77.1.4", b"NO", False)),
    ],
)
def test_trap_burned_in_text(write, sop_class, said, refused):
    body = described()
    if said is not None:
        body += write.element(0x00280301, "CS", said)
    data = write.file(body + write.element(0x7FE00010, "OB", bytes(8)), sop_class=sop_class)
    if refused:
        assert "Burned In Annotation" in refusal(data)
        with pytest.raises(ScrubRefused) as kept_back:
            deidentified(data, Profile("careful", burned_in="quarantine"))
        assert kept_back.value.quarantined
    else:
        assert deidentified(data)


@pytest.mark.parametrize(
    "rule",
    [
        PixelRule(((0x00080070, "ACME*"),), trust=True),
        PixelRule(((0x00080070, "ACME*"),), (Region(0, 0, 4, 1),)),
    ],
    ids=["trusted", "blanked"],
)
def test_trap_burned_in_text_that_a_pixel_rule_settles(write, rule):
    profile = Profile("ultrasound", pixel_rules=(rule,))
    body = write.element(0x00080070, "LO", b"ACME Ltd") + described()
    pixels = write.element(0x7FE00010, "OB", b"ABCDEFGH")
    made = deidentified(write.file(body + pixels, sop_class="6.1"), profile)
    assert read(made).PixelData == (b"ABCDEFGH" if rule.trust else bytes(4) + b"EFGH")
    other = write.file(write.element(0x00080070, "LO", b"OTHER") + described() + pixels, sop_class="6.1")
    assert "ultrasound" in refusal(other, profile)


def test_trap_recognisable_faces_are_not_said_to_be_gone(write):
    made = read(deidentified(write.file(write.element(0x00280302, "CS", b"YES"))))
    assert made.RecognizableVisualFeatures == "YES"


@pytest.mark.parametrize("marker", [0xFFFE, 0xFFE0, 0xFFE1, 0xFFEF], ids=["COM", "APP0", "APP1", "APP15"])
def test_trap_comments_inside_the_pixels(write, marker):
    pixels = encapsulated(JPEG_START + segment(marker, b"x" + SECRET) + JPEG_REST)
    made = deidentified(write.file(described(), JPEG) + pixels)
    assert SECRET not in made
    assert len(made) > len(pixels) - 100


@pytest.mark.parametrize(
    ("marker", "table"),
    [(0xFFDD, b"\0\0"), (0xFFC4, b"\1\1" + bytes(15) + b"\0"), (0xFFDB, b"\3" + b"\1" * 64)],
    ids=["restart interval", "Huffman table", "quantization table"],
)
def test_trap_text_behind_what_a_marker_segment_has_to_say(write, marker, table):
    pixels = encapsulated(JPEG_START + segment(marker, table + SECRET) + JPEG_REST)
    assert_gone_or_refused(write.file(described(), JPEG) + pixels)


def test_trap_more_frames_than_described(write):
    frame = JPEG_START + JPEG_REST
    assert "more frames" in refusal(write.file(described(), JPEG) + encapsulated(frame, frame))


@pytest.mark.parametrize(
    "fragments",
    [(JPEG_START + JPEG_REST + SECRET,), (JPEG_START + JPEG_REST, SECRET)],
    ids=["in the last fragment", "in one of their own"],
)
def test_trap_excess_bytes_after_a_codestream(write, fragments):
    assert_gone_or_refused(write.file(described(), JPEG) + encapsulated(*fragments))


def test_trap_text_in_an_offset_table(write):
    pixels = encapsulated(JPEG_START + JPEG_REST, offsets=SECRET)
    assert_gone_or_refused(write.file(described(), JPEG) + pixels)


@pytest.mark.parametrize("fragment", [b"one of its own", b"behind"])
def test_trap_excess_bytes_after_run_length_encoded_frames(write, fragment):
    frame = struct.pack("<16L", 1, 64, *[0] * 14) + b"\xf9\0"  # eight zeros
    fragments = (frame + SECRET,) if fragment == b"behind" else (frame, SECRET)
    data = write.file(described() + write.element(0x00280008, "IS", b"1"), "1.2.840.10008.1.2.5")
    assert_gone_or_refused(data + encapsulated(*fragments))


def assert_gone_or_refused(data: bytes) -> None:
    assert SECRET in data
    try:
        made = deidentified(data)
    except ScrubRefused:
        return
    assert SECRET not in made


def test_trap_bytes_after_the_last_native_frame(write):
    data = write.file(described() + write.element(0x7FE00010, "OB", b"ABCDEFGH" + SECRET))
    assert read(deidentified(data)).PixelData == b"ABCDEFGH"


def test_trap_overlays_in_unused_bits_of_the_pixels(write):
    numbers = {0x60000010: 2, 0x60000011: 4, 0x60000100: 16, 0x60000102: 12}
    overlay = b"".join(write.element(tag, "US", struct.pack("<H", value)) for tag, value in numbers.items())
    body = described(16, stored=12)
    samples = [0x1123, 0xF456, 0, 0x1FFF, 0x2001, 7, 8, 0x1009]
    pixels = write.element(0x7FE00010, "OW", struct.pack("<8H", *samples))
    made = read(deidentified(write.file(body + overlay + pixels)))
    assert struct.unpack("<8H", made.PixelData) == tuple(one & 0x0FFF for one in samples)


@pytest.mark.parametrize("piece", [1, 7, 1 << 16])
@pytest.mark.parametrize(
    ("stored", "high", "signed"),
    [(12, 11, 0), (12, 15, 0), (10, 13, 0), (8, 7, 0), (12, 11, 1), (8, 7, 1), (12, 15, 1)],
)
def test_trap_text_in_bits_that_are_not_the_pictures(write, stored, high, signed, piece):
    shift = high + 1 - stored
    shown = [number << shift for number in (5, 1, 3, 7, 0, 2, 6, 4)]
    other = 0xFFFF & ~((1 << stored) - 1 << shift)
    body = described(16, stored=stored, high=high, signed=signed)
    planted = [number | (other if number & 2 << shift else 0) for number in shown]
    parts = cut(write.file(body + write.element(0x7FE00010, "OW", struct.pack("<8H", *planted))))
    made = read(assembled(parts, basic(), piece=piece))
    assert struct.unpack("<8H", made.PixelData) == tuple(shown)
    clean = cut(write.file(body + write.element(0x7FE00010, "OW", struct.pack("<8H", *shown))))
    assert plan_of(clean, basic()).variant == ORIGINAL
    assert assembled(clean, basic()).endswith(clean.pixels)


def test_trap_a_sign_written_again_stays_and_decodes_the_same(write):
    samples = [-5, 3, -2048, 2047, 0, -1, 8, 9]
    body = described(16, stored=12, signed=1)
    pixels = write.element(0x7FE00010, "OW", struct.pack("<8h", *samples))
    assert deidentified(write.file(body + pixels)).endswith(pixels)
    # One pixel that is not like the others, as an overlay of one pixel would make it: the others stay as they are.
    planted = struct.pack("<8h", *samples[:-1], 9 + 0x3000)
    made = deidentified(write.file(body + write.element(0x7FE00010, "OW", planted)))
    assert made.endswith(pixels)


@pytest.mark.parametrize("tag", [0x7FE00008, 0x7FE00009], ids=["float", "double"])
def test_trap_floats_have_no_bits_that_are_not_the_pictures(write, tag):
    bits = 32 if tag == 0x7FE00008 else 64
    pixels = write.element(tag, "OF" if bits == 32 else "OD", b"\xff" * bits)
    assert deidentified(write.file(described(bits, stored=12) + pixels)).endswith(pixels)


def test_trap_bits_that_cannot_be_told_apart_are_refused(write):
    body = described(16, stored=12, high=7)
    assert "bits" in refusal(write.file(body + write.element(0x7FE00010, "OW", bytes(16))))


def test_trap_encapsulated_pixel_data_is_walked_by_its_items(write):
    # What looks like a delimiter inside of a frame is a part of the frame.
    pixels = encapsulated(write.delimiter(0xFFFEE0DD) + write.element(0x00100010, "PN", b"A"), b"more")
    tail = write.element(0xFFFCFFFC, "OB", SECRET)
    parts = cut(write.file(described(), "1.2.840.10008.1.2.5") + pixels + tail)
    assert (parts.pixels, parts.tail) == (pixels, tail)
