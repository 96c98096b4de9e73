"""Where frames lie: what tables may say of it, and when they can be told apart."""

import struct
import zlib

import pytest

from mdm_async.dicom.elements import EXPLICIT_LITTLE
from mdm_async.dicom.pixels.cleaning import PixelCleaner
from mdm_async.dicom.pixels.description import Description
from mdm_async.dicom.pixels.findings import Findings
from mdm_async.dicom.pixels.frames import MOST, Frames
from mdm_async.dicom.pixels.inspector import Inspector
from mdm_async.dicom.pixels.layout import Layout
from mdm_async.dicom.pixels.plain_frames import PlainFrames
from mdm_async.dicom.pixels.plan import PixelPlan
from mdm_async.dicom.pixels.run_lengths import RunLengths
from mdm_async.errors import Malformed
from tests.canary_pixels import encapsulated

JPEG = "1.2.840.10008.1.2.4.50"
EMPTY_TABLE = struct.pack("<HHL", 0xFFFE, 0xE000, 0)
TEXT_TABLE = struct.pack("<HHL4s", 0xFFFE, 0xE000, 4, b"DOE^")


def two_frames(stop: int = 10) -> Frames:
    frames = Frames()
    for number in range(2):
        frames.offset = 18 * number
        frames.fragments += 1
        frames.begin(10 * number)
        frames.end(10 + stop * number)
    return frames


def test_a_frame_too_long_for_one_fragment_is_not_told_apart() -> None:
    assert two_frames().told_apart(2)
    assert not two_frames(0xFFFFFFFF).told_apart(2)


def test_an_extended_offset_table_fits_where_every_fragment_is_a_frame() -> None:
    frames = two_frames()
    offsets, lengths = struct.pack("<2Q", 0, 18), struct.pack("<2Q", 10, 10)
    assert frames.fit_extended(offsets, lengths, 20)
    frames.fragments += 1
    assert not frames.fit_extended(offsets, lengths, 20)


def test_frames_that_are_not_told_apart_are_never_written_anew() -> None:
    pixels = encapsulated(b"\xff\xd8\xff\xd9", b"no frame").replace(EMPTY_TABLE, TEXT_TABLE, 1)
    cleaner = PixelCleaner(PixelPlan(reframe=True), Description(EXPLICIT_LITTLE), JPEG)
    cleaner.look(pixels)
    with pytest.raises(Malformed):
        cleaner.feed(pixels)


def test_a_table_of_more_frames_than_are_counted_is_not_kept() -> None:
    inspector = Inspector(JPEG)
    head = struct.pack("<HH2sHL", 0x7FE0, 0x10, b"OB", 0, 0xFFFFFFFF)
    inspector.feed(head + struct.pack("<HHL", 0xFFFE, 0xE000, 4 * MOST + 4))
    for _ in range(4):
        inspector.feed(bytes(MOST))
    inspector.feed(bytes(4) + struct.pack("<HHL", 0xFFFE, 0xE0DD, 0))
    assert "an offset table that is none" in inspector.findings()
    assert len(inspector._table) < 8


def test_a_run_that_goes_over_the_end_of_its_segment_is_no_run() -> None:
    findings = Findings()
    layout = Layout(1, 4, 1, 1, 16, 16, 15, False, False, "MONOCHROME2")
    walk = RunLengths(layout, Frames(), findings)
    frame = struct.pack("<16L", 2, 64, 67, *[0] * 13) + b"\3ab" + b"\3abcd"
    walk.next_fragment(len(frame))
    walk.feed(frame)
    assert list(findings.noted) == ["run-length encoded data of the wrong length"]


def test_bits_after_a_deflated_frame_of_single_bits_are_not_let_pass() -> None:
    for last, found in ((0x0F, False), (0x1F, True)):
        findings = Findings()
        layout = Layout(1, 12, 1, 1, 1, 1, 0, False, False, "MONOCHROME2")
        walk = PlainFrames(layout, Frames(), findings, deflated=True)
        deflater = zlib.compressobj(wbits=-15)
        frame = deflater.compress(bytes([0xFF, last])) + deflater.flush()
        walk.next_fragment(len(frame))
        walk.feed(frame)
        walk.close()
        assert bool(findings.noted) == found


def test_pixels_whose_frames_are_written_anew_have_a_name_of_their_own() -> None:
    plans = [PixelPlan(codestreams=True, reframe=reframe) for reframe in (False, True)]
    assert plans[0].variant != plans[1].variant
