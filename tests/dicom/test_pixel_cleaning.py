"""Cleaned pixels hold the same picture, in as many bytes, and nothing else."""

import io
import struct
from dataclasses import replace
from itertools import pairwise

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydicom.pixels import pixel_array

from mdm_async.dicom.elements import EXPLICIT_BIG, IMPLICIT_LITTLE
from mdm_async.dicom.pixels.cleaning import PixelCleaner
from mdm_async.dicom.pixels.description import PixelFacts
from mdm_async.dicom.pixels.plan import ORIGINAL, PixelPlan, describe, plan
from mdm_async.dicom.profile import PixelRule, Region, basic
from mdm_async.errors import Malformed, MdmError
from tests.dicom.test_inspector import (
    ADOBE,
    BASELINE,
    HEADER,
    J2K,
    JFIF,
    LS,
    RLE,
    box,
    inspect,
    jpeg,
    jpeg2000,
    segment,
)
from tests.dicom.test_refusals import image, overlay

CANARY = b"DOE^JANE*CANARY"


ICC = box(b"colr", b"\2\0\0" + bytes(16) + b"GRAY" + bytes(99) + CANARY)


def clean(cleaner: PixelCleaner, pixels: bytes, size: int = 1 << 20) -> bytes:
    out = b"".join(cleaner.feed(memoryview(pixels)[at : at + size]) for at in range(0, len(pixels), size))
    return out + cleaner.close()


def clean_codestreams(write, syntax: str, pixels: bytes, size: int = 1 << 20) -> bytes:
    about, _, _ = describe(write.file(b"", syntax))
    return clean(PixelCleaner(PixelPlan(codestreams=True), about, syntax), pixels, size)


def encapsulate(write, *fragments: bytes) -> bytes:
    return write.undefined(0x7FE00010, "OB", b"".join(map(write.item, (b"", *fragments))))


def test_the_samples_show_the_same_picture_when_cleaned(sample, split):
    try:
        parts = split(sample.read_bytes())
        about, sop_class, syntax = describe(parts.head)
    except MdmError:
        return
    findings = inspect(syntax, parts.pixels, about=about) if parts.pixels else ()
    facts = PixelFacts(
        bool(parts.pixels), parts.splitter.pixel_value_length, parts.splitter.encapsulated, findings
    )
    planned = plan(about, sop_class, syntax, basic()).after(facts)
    if planned.variant == ORIGINAL:
        return
    cleaned = clean(PixelCleaner(planned, about, syntax), parts.pixels, 999)
    assert cleaned == clean(PixelCleaner(planned, about, syntax), parts.pixels)
    assert inspect(syntax, cleaned, about=about) == ()
    if parts.splitter.encapsulated:
        assert len(cleaned) == len(parts.pixels)
    if "embedded-sequence" not in sample.name:  # pydicom cannot decode that as it is
        before, after = (pixel_array(io.BytesIO(parts.head + one)) for one in (parts.pixels, cleaned))
        assert (before == after).all()


@pytest.mark.parametrize("size", [1, 7, 1 << 20])
@pytest.mark.parametrize(
    ("syntax", "codestream"),
    [
        (BASELINE, jpeg(JFIF, segment(0xFE, CANARY), ADOBE, segment(0xE1, b"Exif\0\0" + CANARY * 9))),
        (BASELINE, jpeg(segment(0xE0, b"JFIF\0\1\1\0\0\1\0\1\1\5" + CANARY), between=segment(0xFE, CANARY))),
        (BASELINE, jpeg(segment(0xE0, b"JFXX\0" + CANARY), segment(0xF3, CANARY), after=CANARY)),
        (BASELINE, jpeg(segment(0xEE, b"Adobe\0d\0\0\0\0\0" + CANARY), after=b"\xff" + CANARY)),
        (LS, jpeg(segment(0xE8, b"mrfx\1" + CANARY), segment(0xE8, b"SPIFF\0" + CANARY))),
        (
            J2K,
            jpeg2000(segment(0x64, b"\0\1" + CANARY), segment(0x63, CANARY), in_tile=segment(0x64, CANARY))
            + CANARY,
        ),
        (
            J2K,
            box(b"jP  ", b"\r\n\x87\n")
            + box(b"xml ", CANARY)
            + box(b"jp2h", box(b"ihdr", bytes(14)) + box(b"uuid", CANARY * 9) + ICC)
            + b"\0\0\0\1info"
            + (16 + len(CANARY)).to_bytes(8, "big")
            + CANARY
            + box(b"jp2c", jpeg2000())
            + box(b"xml ", CANARY),
        ),
    ],
)
def test_what_is_no_picture_is_overwritten_in_place(write, syntax, codestream, size):
    pixels = encapsulate(write, codestream, codestream[:40], codestream[40:])
    assert inspect(syntax, pixels)
    cleaned = clean_codestreams(write, syntax, pixels, size)
    assert len(cleaned) == len(pixels)
    assert b"CANARY" not in cleaned
    assert inspect(syntax, cleaned) == ()
    assert clean_codestreams(write, syntax, cleaned, size) == cleaned


@pytest.mark.parametrize("size", [1, 7, 1 << 20])
def test_run_length_encoded_frames_keep_their_runs(write, size):
    head = image(write, syntax=RLE, frames=b"2")
    about, _, _ = describe(head)
    frames = (HEADER + b"\x08123456789" + CANARY, HEADER + b"\xf8\1" + CANARY * 9)
    pixels = encapsulate(write, *frames)
    assert inspect(RLE, pixels, about=about) == ("bytes after the end of run-length encoded data",)
    cleaned = clean(PixelCleaner(PixelPlan(codestreams=True), about, RLE), pixels, size)
    wiped = (frames[0][:-15] + bytes(15), HEADER + b"\xf8\1" + bytes(15 * 9))
    assert cleaned == encapsulate(write, *wiped)
    assert inspect(RLE, cleaned, about=about) == ()


def test_what_decoders_need_stays(write):
    thumbnail = segment(0xE0, b"JFIF\0\1\1\0\0\1\0\1\1\1abc")
    adobe = segment(0xEE, b"Adobe\0d\0\0\0\0\2more")
    transform = segment(0xE8, b"mrfx\3more")
    pixels = encapsulate(write, jpeg(thumbnail, adobe, transform))
    expected = jpeg(
        segment(0xE0, b"JFIF\0\1\1\0\0\1\0\1" + bytes(5)),
        segment(0xEE, b"Adobe\0d\0\0\0\0\2" + bytes(4)),
        segment(0xE8, b"mrfx\3" + bytes(4)),
    )
    assert clean_codestreams(write, BASELINE, pixels) == encapsulate(write, expected)


@pytest.mark.parametrize(
    ("written", "left"),
    [
        (
            segment(0xE0, b"JFIF\0SMITH^J\0\0"),
            segment(0xE0, b"JFIF\0\1\2\0\0\1\0\1\0\0"),
        ),
        (segment(0xEE, b"AdobeSMITH^\0"), segment(0xEE, b"Adobe\0d\0\0\0\0\0")),
        (segment(0xEE, b"AdobeSMITH^J"), segment(0xEE, bytes(12))),
        (segment(0xEE, b"Adobe\0d\xc0\0\0\0\1"), segment(0xEE, b"Adobe\0d\xc0\0\0\0\1")),
    ],
)
@pytest.mark.parametrize("size", [1, 7, 1 << 16])
def test_text_in_what_decoders_need_goes(write, written, left, size):
    pixels = encapsulate(write, jpeg(written))
    assert bool(inspect(BASELINE, pixels)) == (written != left)
    assert clean_codestreams(write, BASELINE, pixels, size) == encapsulate(write, jpeg(left))


SEGMENTS = st.one_of(
    st.binary(max_size=40).map(lambda body: segment(0xFE, body)),
    st.tuples(st.sampled_from([*range(0xE0, 0xF7), *range(0xF9, 0xFF)]), st.binary(max_size=40)).map(
        lambda one: segment(*one)
    ),
    st.sampled_from([JFIF, ADOBE, segment(0xDB, bytes(65))]),
)


@settings(max_examples=300, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(
    frames=st.lists(st.tuples(st.lists(SEGMENTS, max_size=4), st.binary(max_size=9)), min_size=1, max_size=3),
    cuts=st.lists(st.integers(0, 300), max_size=4),
    size=st.integers(1, 90),
)
def test_cleaning_does_not_depend_on_chunks_or_fragments(write, frames, cuts, size):
    fragments = []
    for segments, after in frames:
        codestream = jpeg(*segments, after=after)
        end = len(codestream) - len(after)
        bounds = [0, *sorted({cut for cut in cuts if 0 < cut < end}), len(codestream)]
        fragments += [codestream[a:b] for a, b in pairwise(bounds)]
    pixels = encapsulate(write, *fragments)
    cleaned = clean_codestreams(write, BASELINE, pixels, size)
    assert cleaned == clean_codestreams(write, BASELINE, pixels)
    assert len(cleaned) == len(pixels)
    if not any(after.lstrip(b"\0").startswith((b"\xff\xd8", b"\xff\x4f")) for _, after in frames):
        assert inspect(BASELINE, cleaned) == ()


def test_fragments_without_their_delimiter_are_malformed(write):
    pixels = encapsulate(write, jpeg())
    about, _, _ = describe(write.file(b"", BASELINE))
    cleaner = PixelCleaner(PixelPlan(codestreams=True), about, BASELINE)
    out = cleaner.feed(pixels[:-8])
    assert pixels.startswith(out)
    with pytest.raises(Malformed):
        cleaner.close()


def native(head: bytes, pixels: bytes, size: int, *regions: Region) -> bytes:
    """These pixels cleaned under a profile that blanks the regions."""
    profile = replace(basic(), pixel_rules=(PixelRule((), blank=regions),))
    about, sop_class, syntax = describe(head)
    planned = plan(about, sop_class, syntax, profile)
    return clean(PixelCleaner(planned, about, syntax), pixels, size)


@pytest.mark.parametrize("size", [1, 5, 11, 1 << 20])
def test_native_pixels_are_cut_to_their_frames(write, writer, size):
    frame = bytes(range(1, 10))
    pixels = write.element(0x7FE00010, "OB", frame + CANARY)
    assert native(image(write), pixels, size) == write.element(0x7FE00010, "OB", frame)
    just_right = write.element(0x7FE00010, "OW", frame + b"x")
    assert native(image(write), just_right, size) == just_right
    too_few = write.element(0x7FE00010, "OW", frame[:4])
    assert native(image(write), too_few, size) == too_few
    implicit, big = writer(IMPLICIT_LITTLE), writer(EXPLICIT_BIG)
    about, _, _ = describe(image(write))
    cleaner = PixelCleaner(PixelPlan(cut=10), about, "1.2.840.10008.1.2")
    assert clean(cleaner, implicit.element(0x7FE00010, "OB", frame + CANARY), size) == implicit.element(
        0x7FE00010, "OB", frame
    )
    # In big endian words the last of an odd number of pixels comes after the padding.
    pixels = big.element(0x7FE00010, "OW", frame + CANARY)
    assert native(image(big), pixels, size) == big.element(0x7FE00010, "OW", frame + CANARY[:1])


@pytest.mark.parametrize("size", [1, 5, 11, 1 << 20])
def test_native_pixels_are_cut_masked_and_blanked_at_once(write, writer, size):
    for one in (write, writer(EXPLICIT_BIG)):
        order = ">" if one.encoding.big_endian else "<"
        bits = one.element(0x60020100, "US", struct.pack(order + "H", 16))
        bits += one.element(0x60020102, "US", struct.pack(order + "H", 12))
        head = image(one, bits=16, stored=12, frames=b"2", body=bits)
        samples = [0xF000 | number for number in range(1, 19)]
        pixels = one.element(0x7FE00010, "OW", struct.pack(order + "18H", *samples) + CANARY)
        expected = [sample & 0xFFF for sample in samples]
        for at in (0, 1, 9, 10):
            expected[at] = 0
        cleaned = native(head, pixels, size, Region(0, 0, 2, 1))
        assert cleaned == one.element(0x7FE00010, "OW", struct.pack(order + "18H", *expected))


def test_pixels_shorter_than_their_header_says_are_malformed(write):
    about, _, syntax = describe(image(write))
    cleaner = PixelCleaner(PixelPlan(cut=10), about, syntax)
    cleaner.feed(write.element(0x7FE00010, "OB", bytes(8))[:-1])
    with pytest.raises(Malformed):
        cleaner.close()


def test_a_variant_has_one_name_for_one_change(write):
    about, sop_class, syntax = describe(image(write) + overlay(write, 0, 1))
    banner, corner = Region(0, 0, 3, 1), Region(2, 2, 9, 9)

    def name(*rules: PixelRule, length: int = 10) -> str:
        planned = plan(about, sop_class, syntax, replace(basic(), pixel_rules=rules))
        after = planned.after(PixelFacts(True, length, False, ()))
        assert len(after.variant) <= 40
        assert after.variant == planned.variant or planned.variant == ORIGINAL
        return after.variant

    assert name() == name(PixelRule((), trust=True)) == ORIGINAL
    one = name(PixelRule((), (banner, corner)))
    assert one == name(PixelRule((), (corner,)), PixelRule((), (banner, Region(2, 2, 1, 1))))
    # Bytes after the last frame go with every cleaning, so they make no difference where there is one anyway.
    assert one == name(PixelRule((), (corner, banner)), length=14)
    assert len({ORIGINAL, one, name(length=14), name(PixelRule((), (banner,)))}) == 4
