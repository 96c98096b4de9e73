"""Encapsulated frames that are certain are written anew, in the right form; where they are not, the view is refused."""

import io
import shutil
import struct
import subprocess
import zlib
from dataclasses import replace
from functools import partial
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from openjpeg.utils import encode_array
from pydicom.encaps import generate_frames, parse_basic_offsets
from pydicom.pixels import pixel_array

from mdm_async.dicom.pixels.findings import Findings
from mdm_async.dicom.pixels.frames import Frames
from mdm_async.dicom.pixels.layout import Layout
from mdm_async.dicom.pixels.plain_frames import PlainFrames
from mdm_async.dicom.pixels.plan import ORIGINAL, describe
from mdm_async.dicom.profile import Action, PixelRule, Profile, Region, basic
from mdm_async.errors import ScrubRefused
from tests.canary_pixels import (
    JPEG_REST,
    JPEG_START,
    described,
    encapsulated,
    extended_table,
    fragments_alone,
    run_length_encoded,
    segment,
)
from tests.dicom.test_inspector import inspect
from tests.pipeline import assembled, cut, deidentified, plan_of, read

SECRET = b"SECRET^WOMAN"
JPEG, J2K, RLE = "1.2.840.10008.1.2.4.50", "1.2.840.10008.1.2.4.90", "1.2.840.10008.1.2.5"
UNCOMPRESSED, DEFLATED = "1.2.840.10008.1.2.1.98", "1.2.840.10008.1.2.8.1"

PICTURES = np.arange(3 * 64, dtype=np.uint8).reshape(3, 8, 8)
LARGE = (np.arange(3 * 64 * 64) % 251).astype(np.uint8).reshape(3, 64, 64)
GREY = np.full((3, 8, 8), 128, np.uint8)


def j2k(picture: np.ndarray) -> bytes:
    """A codestream without comments."""
    made = encode_array(picture)
    while (at := made.find(b"\xff\x64")) >= 0:
        made = made[:at] + made[at + 2 + int.from_bytes(made[at + 2 : at + 4], "big") :]
    return made


FRAMES = {
    JPEG: [JPEG_START + JPEG_REST] * 3,
    J2K: [j2k(one) for one in LARGE],
    RLE: [run_length_encoded(one.tobytes()) for one in PICTURES],
}
EXPECTED = {JPEG: GREY, J2K: LARGE, RLE: PICTURES}


def file(write, syntax: str, pixels: bytes, frames: bytes = b"3", before: bytes = b"") -> bytes:
    size = 64 if syntax == J2K else 8
    return write.file(described(rows=size, columns=size, frames=frames) + before, syntax) + pixels


def refusal(data: bytes) -> str:
    with pytest.raises(ScrubRefused) as refused:
        deidentified(data)
    assert "SECRET" not in str(refused.value)
    return str(refused.value)


def offsets_of(frames: list[bytes]) -> list[int]:
    sizes = [8 + len(one) + len(one) % 2 for one in frames]
    return [sum(sizes[:number]) for number in range(len(sizes))]


def table_of(frames: list[bytes]) -> bytes:
    return struct.pack(f"<{len(frames)}L", *offsets_of(frames))


def assert_repaired(data: bytes, expected: np.ndarray, tmp_path) -> None:
    """The view shows the same pictures, each in one fragment behind a right table, to pydicom and to dcmtk."""
    parts = cut(data)
    made = assembled(parts, basic())
    assert SECRET not in made
    assert made == assembled(parts, basic(), piece=7)
    shown = read(made)
    frames = list(generate_frames(shown.PixelData, number_of_frames=len(expected)))
    assert parse_basic_offsets(io.BytesIO(shown.PixelData)) == offsets_of(frames)
    assert shown.NumberOfFrames == len(expected)
    assert (pixel_array(shown) == expected).all()
    assert plan_of(cut(made), basic()).variant == ORIGINAL
    if shutil.which("dcmdump"):
        (tmp_path / "made.dcm").write_bytes(made)
        said = subprocess.run(["dcmdump", "-q", "made.dcm"], cwd=tmp_path, capture_output=True, check=True)
        assert said.stdout.count(b"\n  (fffe,e000) pi") == 1 + len(expected)


@pytest.mark.parametrize("syntax", FRAMES)
@pytest.mark.parametrize(
    "table",
    [SECRET, struct.pack("<3L", 8, 8, 8), struct.pack("<2L", 0, 8), bytes(4 * 3), b"\0\0"],
    ids=["text", "other numbers", "too few", "zeros", "half a number"],
)
def test_a_wrong_offset_table_is_replaced(write, syntax, table, tmp_path):
    data = file(write, syntax, encapsulated(*FRAMES[syntax], offsets=table))
    assert_repaired(data, EXPECTED[syntax], tmp_path)


@pytest.mark.parametrize("syntax", FRAMES)
def test_a_missing_offset_table_is_written(write, syntax, tmp_path):
    assert_repaired(file(write, syntax, fragments_alone(*FRAMES[syntax])), EXPECTED[syntax], tmp_path)


@pytest.mark.parametrize("syntax", FRAMES)
def test_a_delimiter_that_announces_a_length_announces_none(write, syntax, tmp_path):
    pixels = encapsulated(*FRAMES[syntax])[:-4] + b"SECR"
    data = file(write, syntax, pixels)
    assert cut(data).pixels == pixels
    assert_repaired(data, EXPECTED[syntax], tmp_path)
    assert b"SECR" not in deidentified(data)


@pytest.mark.parametrize("syntax", FRAMES)
@pytest.mark.parametrize("right", [False, True], ids=["empty", "right"])
def test_an_empty_and_a_right_offset_table_stay(write, syntax, right):
    pixels = encapsulated(*FRAMES[syntax], offsets=table_of(FRAMES[syntax]) if right else b"")
    assert deidentified(file(write, syntax, pixels)).endswith(pixels)


@pytest.mark.parametrize("syntax", [JPEG, J2K])
@pytest.mark.parametrize("which", [(0,), (1,), (2,), (0, 1, 2)])
def test_a_missing_end_marker_is_written(write, syntax, which, tmp_path):
    frames = [one[:-2] if number in which else one for number, one in enumerate(FRAMES[syntax])]
    assert_repaired(file(write, syntax, encapsulated(*frames)), EXPECTED[syntax], tmp_path)


@pytest.mark.parametrize("syntax", [JPEG, J2K])
@pytest.mark.parametrize("at", [5, 150, -1])
def test_a_frame_in_several_fragments_is_told_by_its_end(write, syntax, at, tmp_path):
    one, two, three = FRAMES[syntax]
    at -= at % 2
    pixels = encapsulated(one[:at], one[at:], two, three, offsets=SECRET)
    assert_repaired(file(write, syntax, pixels), EXPECTED[syntax], tmp_path)


@pytest.mark.parametrize("cuts", [(64,), (66,), (64, 66, 70, 100), (128,)])
@pytest.mark.parametrize("broken", [0, 2])
def test_run_length_encoded_frames_in_several_fragments_are_joined(write, cuts, broken, tmp_path):
    fragments = []
    for number, frame in enumerate(FRAMES[RLE]):
        bounds = [0, *cuts, len(frame)] if number == broken and cuts[-1] < len(frame) else [0, len(frame)]
        fragments += [frame[a:b] for a, b in pairwise(bounds)]
    assert_repaired(file(write, RLE, encapsulated(*fragments)), PICTURES, tmp_path)


def test_a_run_length_encoded_frame_cut_in_its_header_is_refused(write):
    one, two, three = FRAMES[RLE]
    assert "no run-length encoded frame" in refusal(
        file(write, RLE, encapsulated(one[:20], one[20:], two, three))
    )


def test_joined_frames_lose_what_comes_after_them(write, tmp_path):
    one, two, three = FRAMES[RLE]
    pixels = encapsulated(one[:70], one[70:] + SECRET, two, three + SECRET)
    assert_repaired(file(write, RLE, pixels), PICTURES, tmp_path)


def test_comments_in_frames_written_anew_are_overwritten(write, tmp_path):
    frames = [JPEG_START + segment(0xFFFE, SECRET) + JPEG_REST[:-2], JPEG_START + JPEG_REST + SECRET]
    pixels = fragments_alone(*frames, JPEG_START + JPEG_REST)
    assert_repaired(file(write, JPEG, pixels), GREY, tmp_path)


@pytest.mark.parametrize("frames", [b"3.0 ", b"3.", b"+3.000"])
def test_a_number_of_frames_with_a_decimal_point_is_that_number(write, frames):
    pixels = encapsulated(*FRAMES[RLE])
    made = read(deidentified(file(write, RLE, pixels, frames=frames)))
    assert made.NumberOfFrames == 3
    assert made["NumberOfFrames"].value.original_string.strip() in ("3", "+3")
    assert (pixel_array(made) == PICTURES).all()


@pytest.mark.parametrize(
    "pixels",
    [
        encapsulated(*FRAMES[JPEG][:2], offsets=SECRET),
        encapsulated(*FRAMES[JPEG], FRAMES[JPEG][0], offsets=SECRET),
        encapsulated(FRAMES[JPEG][0][:30], *FRAMES[JPEG][:2]),
        encapsulated(JPEG_START + segment(0xFFFE, bytes(50))[:-40], *FRAMES[JPEG]),
        encapsulated(*FRAMES[JPEG][:2], (JPEG_START + JPEG_REST)[:-2] + SECRET),
        encapsulated((JPEG_START + JPEG_REST)[:-2] + "SECRET".encode("utf-16-be"), *FRAMES[JPEG][:2]),
    ],
    ids=[
        "few",
        "many",
        "one cut in its header",
        "one cut in a comment",
        "a text last",
        "a text in two bytes each",
    ],
)
def test_frames_that_are_not_certain_are_refused(write, pixels):
    assert refusal(file(write, JPEG, pixels))


def test_identified_pixels_are_looked_at_without_being_changed(write):
    data = file(write, JPEG, fragments_alone(*FRAMES[JPEG]))
    parts = cut(data)
    assert parts.head + parts.pixels + parts.tail == data


# The Extended Offset Table.


@pytest.mark.parametrize("odd", [0, 1], ids=["with padding", "without"])
def test_a_right_extended_offset_table_stays(write, odd):
    frames = [one + b"\0" * (len(one) % 2) for one in FRAMES[RLE]]
    table = extended_table(offsets_of(frames), [len(one) - odd for one in frames])
    pixels = encapsulated(*frames)
    assert deidentified(file(write, RLE, pixels, before=table)).endswith(table + pixels)


@pytest.mark.parametrize(
    "profile",
    [
        Profile("few", base="keep-only"),
        Profile("none", site=((0x7FE00002, Action.REMOVE, None),)),
    ],
    ids=["not named", "named"],
)
def test_an_extended_offset_table_goes_where_a_profile_wants_it(write, profile):
    frames = [one + b"\0" * (len(one) % 2) for one in FRAMES[RLE]]
    table = extended_table(offsets_of(frames), [len(one) for one in frames])
    made = deidentified(file(write, RLE, encapsulated(*frames), before=table), profile)
    assert b"\xe0\x7f\1\0" not in made
    assert b"\xe0\x7f\2\0" not in made


SIZES = [len(one) for one in FRAMES[RLE]]
OFFSETS = offsets_of(FRAMES[RLE])


@pytest.mark.parametrize(
    "table",
    [
        extended_table([0, 8, 16], SIZES),
        extended_table(OFFSETS, [1, 2, 3]),
        extended_table(OFFSETS[:2], SIZES[:2]),
        extended_table([*OFFSETS, 0x544552434553], [*SIZES, 4]),
        extended_table(OFFSETS, [SIZES[0], 2**63 + SIZES[1], SIZES[2]]),
        extended_table(OFFSETS, SIZES)[: 12 + 24],
    ],
    ids=["offsets", "lengths", "too few", "too many", "huge", "no lengths"],
)
def test_a_wrong_extended_offset_table_goes_and_the_pixels_stay(write, table):
    pixels = encapsulated(*FRAMES[RLE])
    made = deidentified(file(write, RLE, pixels, before=table))
    assert made.endswith(pixels)
    assert b"\xe0\x7f\1\0" not in made
    assert b"\xe0\x7f\2\0" not in made
    assert (pixel_array(read(made)) == PICTURES).all()


@pytest.mark.parametrize("said", ["twice", "as text", "of another length", "after the pixels", "in an item"])
def test_an_extended_offset_table_hides_nothing(write, said):
    table, pixels = extended_table(OFFSETS, SIZES), encapsulated(*FRAMES[RLE])
    text = write.element(0x7FE00001, "LT", SECRET * 2)
    after = b""
    if said == "twice":
        table = text + table
    elif said == "as text":
        table = text + table[12 + 24 :]
    elif said == "of another length":
        table += write.element(0x7FE00003, "UV", b"SECRET^W")
    elif said == "after the pixels":
        after = text
    else:
        table = write.sequence(0x00081140, text, undefined=True) + table
    made = deidentified(file(write, RLE, pixels, before=table) + after)
    assert b"SECRET" not in made
    assert (b"\xe0\x7f\1\0" in made) == (said in ("after the pixels", "in an item"))


def test_an_extended_offset_table_of_native_pixels_goes(write):
    pixels = write.element(0x7FE00010, "OB", PICTURES.tobytes())
    made = deidentified(file(write, "1.2.840.10008.1.2.1", pixels, before=extended_table(OFFSETS, SIZES)))
    assert b"\xe0\x7f\1\0" not in made
    assert made.endswith(pixels)


def test_an_extended_offset_table_goes_where_pixels_are_decoded(write):
    profile = replace(basic(), pixel_rules=(PixelRule((), blank=(Region(0, 0, 8, 1),)),))
    data = file(write, RLE, encapsulated(*FRAMES[RLE]), before=extended_table(OFFSETS, SIZES))
    made = deidentified(data, profile)
    assert b"\xe0\x7f\1\0" not in made
    assert (pixel_array(read(made))[:, 1:] == PICTURES[:, 1:]).all()


def test_an_extended_offset_table_stays_where_comments_are_overwritten_in_place(write):
    frames = [JPEG_START + segment(0xFFFE, SECRET) + JPEG_REST + b"\0"] * 3
    table = extended_table(offsets_of(frames), [len(one) for one in frames])
    made = deidentified(file(write, JPEG, encapsulated(*frames), before=table))
    assert table in made
    assert SECRET not in made


def test_an_extended_offset_table_goes_where_frames_are_written_anew(write, tmp_path):
    data = file(write, RLE, encapsulated(*FRAMES[RLE], offsets=SECRET), before=extended_table(OFFSETS, SIZES))
    assert_repaired(data, PICTURES, tmp_path)
    assert b"\xe0\x7f\1\0" not in deidentified(data)


# Frames that are encapsulated as they are, or deflated.


def plain(syntax: str, frame: bytes) -> bytes:
    if syntax == UNCOMPRESSED:
        return frame
    if syntax == RLE:
        return run_length_encoded(frame[1::2], frame[::2])
    deflate = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    return deflate.compress(frame) + deflate.flush()


def wide(write, syntax: str, samples: np.ndarray, after: bytes = b"", stored: int = 12) -> bytes:
    """A file of one frame of 16-bit samples."""
    body = described(16, stored=stored, rows=8, columns=8, frames=b"1")
    return write.file(body, syntax) + encapsulated(plain(syntax, samples.astype("<u2").tobytes()) + after)


def long_runs(frame: bytes) -> bytes:
    """A frame of 16-bit samples, run-length encoded in its high bytes by runs of one repeated byte."""
    low, high = frame[::2], frame[1::2]
    runs = b"".join(b"\xff" + high[at : at + 1] for at in range(0, len(high), 2))
    literal = b"\x3f" + low
    return struct.pack("<16L", 2, 64, 64 + len(runs), *[0] * 13) + runs + literal + b"\0"


WIDE = np.arange(64, dtype=np.uint16).reshape(8, 8) * 60


@pytest.mark.parametrize("syntax", [UNCOMPRESSED, DEFLATED, RLE])
def test_plain_frames_with_nothing_else_stay(write, syntax):
    data = wide(write, syntax, WIDE)
    assert deidentified(data).endswith(cut(data).pixels)


@pytest.mark.parametrize("syntax", [UNCOMPRESSED, DEFLATED])
@pytest.mark.parametrize("piece", [3, 1 << 16])
def test_bytes_after_plain_frames_are_overwritten(write, syntax, piece):
    data = wide(write, syntax, WIDE, after=SECRET)
    made = assembled(cut(data), basic(), piece=piece)
    assert len(cut(made).pixels) == len(cut(data).pixels)
    assert SECRET not in made
    assert deidentified(made).endswith(cut(made).pixels)


@pytest.mark.parametrize("syntax", [UNCOMPRESSED, DEFLATED, RLE])
def test_unused_bits_of_frames_are_cleared_in_native_ones(write, syntax):
    made = read(deidentified(wide(write, syntax, WIDE | 0xA000, after=b"" if syntax == RLE else SECRET)))
    assert made.file_meta.TransferSyntaxUID == "1.2.840.10008.1.2.1"
    assert (pixel_array(made) == WIDE).all()
    assert made.PixelData == WIDE.astype("<u2").tobytes()


@pytest.mark.parametrize("size", [1, 3, 1 << 20])
@pytest.mark.parametrize("at", [0, 1, 30, 63])
@pytest.mark.parametrize("encode", [partial(plain, RLE), long_runs], ids=["literal", "repeated"])
def test_unused_bits_are_found_in_run_length_encoded_frames(write, encode, at, size):
    head = write.file(described(16, stored=12, rows=8, columns=8, frames=b"1"), RLE)
    about, _, _ = describe(head)
    samples = WIDE.flatten().repeat(2)[:64]
    assert inspect(RLE, encapsulated(encode(samples.astype("<u2").tobytes())), size, about) == ()
    samples[at - at % 2 : at - at % 2 + 2] |= 0x1000
    found = inspect(RLE, encapsulated(encode(samples.astype("<u2").tobytes())), size, about)
    assert found == ("something in bits that are not the picture's",)


def test_a_sign_written_again_stays_in_run_length_encoded_frames(write):
    body = described(16, stored=12, signed=1, rows=8, columns=8, frames=b"1")
    samples = (WIDE.astype(np.int16) - 1900).astype("<i2")
    data = write.file(body, RLE) + encapsulated(plain(RLE, samples.tobytes()))
    assert deidentified(data).endswith(cut(data).pixels)


@pytest.mark.parametrize("syntax", [UNCOMPRESSED, DEFLATED])
def test_regions_of_plain_frames_are_blanked(write, syntax):
    profile = replace(basic(), pixel_rules=(PixelRule((), blank=(Region(0, 0, 8, 2),)),))
    shown = pixel_array(read(deidentified(wide(write, syntax, WIDE), profile)))
    assert not shown[:2].any()
    assert (shown[2:] == WIDE[2:]).all()


@pytest.mark.parametrize(
    "frame",
    [
        plain(DEFLATED, bytes(127)),
        plain(DEFLATED, bytes(1 << 26)),
        plain(DEFLATED, bytes(128))[:-3],
        SECRET * 20,
        b"",
    ],
    ids=["too short", "a bomb", "cut", "what does not inflate", "nothing"],
)
def test_deflated_frames_of_another_size_are_refused(write, frame):
    body = described(16, rows=8, columns=8, frames=b"1")
    assert refusal(write.file(body, DEFLATED) + encapsulated(frame))


def test_deflated_frames_end_wherever_an_inflated_piece_does():
    for size in range((1 << 16) - 2, (1 << 16) + 600, 7):
        frame = plain(DEFLATED, bytes(size))
        findings = Findings()
        layout = Layout(1, size, 1, 1, 8, 8, 7, False, False, "MONOCHROME2")
        walk = PlainFrames(layout, Frames(), findings, deflated=True)
        walk.next_fragment(len(frame))
        walk.feed(frame)
        walk.close()
        assert not findings.noted, size


def test_no_more_is_inflated_than_a_frame_has(write, monkeypatch):
    inflated = []
    monkeypatch.setattr(PlainFrames, "_look_at", lambda walk, samples: inflated.append(len(samples)))
    about, _, _ = describe(write.file(described(16, rows=8, columns=8, frames=b"1"), DEFLATED))
    assert inspect(DEFLATED, encapsulated(plain(DEFLATED, bytes(1 << 26))), about=about)
    assert sum(inflated) < 1 << 17


def test_plain_frames_of_another_size_are_refused(write):
    body = described(16, rows=8, columns=8, frames=b"1")
    assert refusal(write.file(body, UNCOMPRESSED) + encapsulated(bytes(126)))
    assert refusal(write.file(body, UNCOMPRESSED) + encapsulated(bytes(128), bytes(128)))
    assert refusal(write.file(body, UNCOMPRESSED) + encapsulated(bytes(64), bytes(64)))


def test_spare_bits_after_a_frame_of_single_bits_are_cleared(write):
    body = described(1, rows=3, columns=3, frames=b"2")
    data = write.file(body, UNCOMPRESSED) + encapsulated(b"\x55\xff\0", b"\xaa\x01")
    assert cut(deidentified(data)).pixels == encapsulated(b"\x55\x01\0", b"\xaa\x01")


@st.composite
def disorder(draw):
    """(transfer syntax, the pixels of three frames with anything in disorder)."""
    syntax = draw(st.sampled_from([JPEG, RLE, UNCOMPRESSED, DEFLATED, JPEG_XL]))
    frames = {UNCOMPRESSED: GREYS, DEFLATED: [plain(DEFLATED, one) for one in GREYS], JPEG_XL: [XL] * 3}
    fragments = []
    for frame in FRAMES.get(syntax) or frames[syntax]:
        if syntax == JPEG:
            frame = frame[: len(frame) - 2 * draw(st.booleans())]
        if not draw(st.integers(0, 3)):
            frame += draw(st.sampled_from([SECRET, b"\0\0\0", b"\xff", b"\xff\xd9"]))
        cuts = draw(st.lists(st.integers(1, len(frame) // 2), max_size=2, unique=True))
        bounds = [0, *(2 * cut for cut in sorted(cuts)), len(frame)]
        fragments += [frame[a:b] for a, b in pairwise(bounds) if a < b]
    table = draw(st.sampled_from([b"", b"", SECRET, bytes(12), table_of(fragments), None]))
    pixels = fragments_alone(*fragments) if table is None else encapsulated(*fragments, offsets=table)
    if not draw(st.integers(0, 5)):
        pixels = pixels[:-4] + b"SECR"
    return syntax, pixels


XL = Path(__file__).with_name("jpeg_xl").joinpath("grey-lossless.jxl").read_bytes()
JPEG_XL = "1.2.840.10008.1.2.4.110"
GREYS = [one.tobytes() for one in PICTURES]


@settings(max_examples=120, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(disorder(), st.integers(1, 200))
def test_whatever_is_in_disorder_is_in_order_afterwards_or_refused(write, one, piece):
    syntax, pixels = one
    data = file(write, syntax, pixels)
    parts = cut(data)
    try:
        made = assembled(parts, basic(), piece=piece)
    except ScrubRefused:
        return
    assert b"SECRET" not in made
    assert made == assembled(parts, basic())
    again = cut(made)
    assert again.facts.findings == ()
    assert plan_of(again, basic()).variant == ORIGINAL
    if plan_of(parts, basic()).reframe and syntax in (RLE, UNCOMPRESSED, JPEG_XL):
        frames = list(generate_frames(read(made).PixelData, number_of_frames=3))
        whole = {RLE: FRAMES[RLE], UNCOMPRESSED: GREYS, JPEG_XL: [XL] * 3}[syntax]
        assert frames == [frame + b"\0" * (len(frame) % 2) for frame in whole]
