"""Images whose identifying parts lie where scrubbing does not reach are refused, each with its reason."""

import struct

import pytest

from mdm_async.dicom.elements import EXPLICIT_BIG
from mdm_async.dicom.profile import basic
from mdm_async.dicom.scrub import PixelFacts, scrub
from mdm_async.errors import ScrubRefused

NONE = PixelFacts(False, 0, False, ())
FRAGMENTS = PixelFacts(True, 1000, True, ())


def refusal(head: bytes, pixels: PixelFacts = NONE, tail: bytes = b"") -> str:
    """The reason, "" when the view can be made."""
    try:
        scrub(head, tail, profile=basic(), key=bytes(32), pixels=pixels)
    except ScrubRefused as refused:
        return str(refused)
    return ""


@pytest.mark.parametrize(
    ("sop_class", "reason"),
    [
        ("104.1", "encapsulated document"),
        ("104.3", "encapsulated document"),
        ("9.4.1", "voice"),
        ("7", "secondary capture"),
        ("7.4", "secondary capture"),
        ("6.1", "ultrasound"),
        ("3.1", "ultrasound"),
        ("77.1.4", "visible light"),
        ("77.1.5.1", "visible light"),
        ("66.4", ""),
        ("4", ""),
        ("128", ""),
    ],
)
def test_classes(write, sop_class, reason):
    why = refusal(write.file(b"", sop_class=sop_class))
    assert reason in why
    assert bool(why) is bool(reason)
    said_no = refusal(write.file(write.element(0x00280301, "CS", b"NO"), sop_class=sop_class))
    assert bool(said_no) is (reason in ("encapsulated document", "voice"))


def test_a_class_that_meta_and_data_set_disagree_about_counts_twice(write):
    head = write.file(b"", sop_class="7").replace(b"4.1.1.7\0", b"4.1.1.4\0", 1)
    assert "secondary capture" in refusal(head)


def test_burned_in_annotation(write):
    yes, no = write.element(0x00280301, "CS", b"YES"), write.element(0x00280301, "CS", b"NO")
    assert "Burned In" in refusal(write.file(yes))
    assert "Burned In" in refusal(write.file(yes + no))
    assert "Burned In" in refusal(write.file(no), tail=yes)
    assert "secondary" in refusal(write.file(no + write.element(0x00280301, "CS", b""), sop_class="7"))


def test_video(write):
    assert "video" in refusal(write.file(b"", "1.2.840.10008.1.2.4.102"), FRAGMENTS)


def test_findings_in_the_pixels_are_the_reason(write):
    found = PixelFacts(True, 1000, True, ("JPEG comment", "JPEG application segment APP1"))
    assert refusal(write.file(b"", "1.2.840.10008.1.2.4.50"), found) == (
        "the pixels hold: JPEG comment; the pixels hold: JPEG application segment APP1"
    )


def image(write, *, rows=3, columns=3, samples=1, bits=8, frames=b"", photometric=b"MONOCHROME2") -> bytes:
    short = ">H" if write.encoding.big_endian else "<H"
    numbers = {0x00280002: samples, 0x00280010: rows, 0x00280011: columns, 0x00280100: bits}
    elements = {tag: write.element(tag, "US", struct.pack(short, number)) for tag, number in numbers.items()}
    elements[0x00280004] = write.element(0x00280004, "CS", photometric)
    if frames:
        elements[0x00280008] = write.element(0x00280008, "IS", frames)
    syntax = "1.2.840.10008.1.2.2" if write.encoding.big_endian else "1.2.840.10008.1.2.1"
    return write.file(b"".join(elements[tag] for tag in sorted(elements)), syntax)


@pytest.mark.parametrize(
    ("description", "length"),
    [
        ({}, 10),  # 9 and a pad byte
        ({"rows": 2}, 6),
        ({"frames": b"5 "}, 46),
        ({"bits": 16}, 18),
        ({"bits": 1, "rows": 5, "columns": 5, "frames": b"3"}, 10),
        ({"samples": 3, "photometric": b"RGB"}, 28),
        ({"samples": 3, "rows": 2, "columns": 4, "photometric": b"YBR_FULL_422"}, 16),
        ({"samples": 3, "rows": 2, "columns": 4, "photometric": b"YBR_PARTIAL_420"}, 12),
    ],
)
def test_bytes_after_the_last_frame(write, writer, description, length):
    for one in (write, writer(EXPLICIT_BIG)):
        assert refusal(image(one, **description), PixelFacts(True, length, False, ())) == ""
        assert "after the last frame" in refusal(
            image(one, **description), PixelFacts(True, length + 2, False, ())
        )


def test_excess_cannot_be_told_without_a_description(write):
    assert "description" in refusal(write.file(b""), PixelFacts(True, 2, False, ()))
    assert refusal(write.file(b""), PixelFacts(True, 0, False, ())) == ""
    assert refusal(write.file(b"", "1.2.840.10008.1.2.5"), FRAGMENTS) == ""


@pytest.mark.parametrize(
    ("position", "bits", "data", "refused"), [(0, 1, 1, 0), (12, 1, 1, 1), (0, 16, 0, 1), (0, 1, 0, 0)]
)
def test_overlays_in_unused_bits(write, position, bits, data, refused):
    body = write.element(0x60020100, "US", struct.pack("<H", bits))
    body += write.element(0x60020102, "US", struct.pack("<H", position))
    body += write.element(0x60023000, "OW", bytes(8)) if data else b""
    assert bool(refusal(write.file(body))) is bool(refused)


def test_what_must_be_there(write):
    head = write.file(b"")
    without_class = head.replace(b"\x02\x00\x02\x00UI", b"\x02\x00\x04\x00UI").replace(
        b"\x08\x00\x16\x00UI", b"\x08\x00\x15\x00UI"
    )
    assert refusal(without_class) == "the SOP class is missing"
    without_instance = head.replace(b"\x02\x00\x03\x00UI", b"\x02\x00\x04\x00UI").replace(
        b"\x08\x00\x18\x00UI", b"\x08\x00\x19\x00UI"
    )
    assert refusal(without_instance) == "the SOP Instance UID is missing"
    assert "no UID" in refusal(head.replace(b"1.2.840.10008.5.1.4.1.1.4", b"DOE^JANE 12 APRIL 1952..."))


def test_a_second_pixel_element_is_refused(write):
    assert "beside" in refusal(write.file(b""), tail=write.element(0x7FE00010, "OW", bytes(4)))
