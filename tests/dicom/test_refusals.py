"""Images whose identifying parts lie where scrubbing does not reach are refused, each with its reason."""

import struct
from dataclasses import replace

import pytest

from mdm_async.dicom.elements import EXPLICIT_BIG, EXPLICIT_LITTLE
from mdm_async.dicom.pixels.description import PixelFacts, watched
from mdm_async.dicom.pixels.plan import describe, plan
from mdm_async.dicom.profile import PixelRule, Profile, Region, basic
from mdm_async.dicom.refusals import Reason, reasons
from mdm_async.dicom.walking import walk

NONE = PixelFacts(False, 0, False, ())
FRAGMENTS = PixelFacts(True, 1000, True, ())


def why(
    head: bytes, pixels: PixelFacts = NONE, profile: Profile | None = None, tail: bytes = b""
) -> list[Reason]:
    """The reasons, none when the view can be made."""
    profile = profile or basic()
    about, sop_class, syntax = describe(head)
    planned = plan(about, sop_class, syntax, profile).after(pixels)
    for element in walk(tail, 0, len(tail), encoding_of(about)):
        if watched(element.tag):
            about.note(element.tag, tail[element.value : element.end])
    return list(reasons(about, sop_class, syntax, pixels, planned, profile))


def encoding_of(about):
    return EXPLICIT_BIG if about.big_endian else EXPLICIT_LITTLE


def refusal(head: bytes, pixels: PixelFacts = NONE, profile: Profile | None = None, tail: bytes = b"") -> str:
    return "; ".join(reason.text for reason in why(head, pixels, profile, tail))


def ruled(*rules: PixelRule) -> Profile:
    return replace(basic(), pixel_rules=rules)


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
    said = refusal(write.file(b"", sop_class=sop_class))
    assert reason in said
    assert bool(said) is bool(reason)
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


def test_findings_that_cannot_be_cleaned_are_the_reason(write):
    found = ("JPEG comment", "a codestream without its end")
    head = write.file(b"", "1.2.840.10008.1.2.4.50")
    assert (
        refusal(head, PixelFacts(True, 1000, True, found)) == "the pixels hold: a codestream without its end"
    )
    assert refusal(head, PixelFacts(True, 1000, True, found[:1])) == ""
    natives = PixelFacts(True, 1000, False, ("native pixels under a transfer syntax of compressed ones",))
    assert "native pixels under" in refusal(head, natives)


def image(
    write,
    *,
    rows=3,
    columns=3,
    samples=1,
    bits=8,
    stored=None,
    frames=b"",
    photometric=b"MONOCHROME2",
    body=b"",
    sop_class=None,
    syntax=None,
) -> bytes:
    """A head; `body` are further elements."""
    short = ">H" if write.encoding.big_endian else "<H"
    numbers = {
        0x00280002: samples,
        0x00280010: rows,
        0x00280011: columns,
        0x00280100: bits,
        0x00280101: stored or bits,
    }
    elements = {tag: write.element(tag, "US", struct.pack(short, number)) for tag, number in numbers.items()}
    elements[0x00280004] = write.element(0x00280004, "CS", photometric)
    if frames:
        elements[0x00280008] = write.element(0x00280008, "IS", frames)
    syntax = syntax or ("1.2.840.10008.1.2.2" if write.encoding.big_endian else "1.2.840.10008.1.2.1")
    sop_class = sop_class or ("4" if photometric.startswith(b"MONOCHROME") else "4.3")
    return write.file(body + b"".join(elements[tag] for tag in sorted(elements)), syntax, sop_class)


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
def test_bytes_after_the_last_frame_are_cut_where_the_frames_are_described(
    write, writer, description, length
):
    for one in (write, writer(EXPLICIT_BIG)):
        head = image(one, **description)
        about, sop_class, syntax = describe(head)
        planned = plan(about, sop_class, syntax, basic())
        assert planned.cut == length
        for value_length, excess in ((length, False), (length + 2, True)):
            facts = PixelFacts(True, value_length, False, ())
            assert planned.after(facts).excess is excess
            assert refusal(head, facts) == ""


def test_pixels_that_are_not_subsampled_though_they_say_so_are_not_cut(write):
    head = image(write, samples=3, rows=2, columns=4, photometric=b"YBR_FULL_422")
    assert "photometric interpretation" in refusal(head, PixelFacts(True, 24, False, ()))


def test_excess_cannot_be_told_without_a_description(write):
    assert "description" in refusal(write.file(b""), PixelFacts(True, 2, False, ()))
    assert refusal(write.file(b""), PixelFacts(True, 0, False, ())) == ""
    assert refusal(write.file(b"", "1.2.840.10008.1.2.5"), FRAGMENTS) == ""


def test_two_descriptions_are_none(write):
    twice = image(write) + write.element(0x00280010, "US", struct.pack("<H", 4))
    assert "description" in refusal(twice, PixelFacts(True, 9, False, ()))


def test_pixels_that_the_tail_describes_anew_are_refused(write):
    rows = write.element(0x00280010, "US", struct.pack("<H", 4))
    assert "anew" in refusal(image(write), PixelFacts(True, 9, False, ()), tail=rows)
    assert (
        refusal(image(write), PixelFacts(True, 9, False, ()), tail=write.element(0xFFFCFFFC, "OB", b"")) == ""
    )


@pytest.mark.parametrize(
    ("position", "bits", "own", "cleared"), [(0, 1, 1, 0), (12, 1, 1, 1), (12, 16, 0, 1), (0, 1, 0, 0)]
)
def test_overlays_in_unused_bits_are_cleared(write, position, bits, own, cleared):
    body = overlay(write, position, bits) + (write.element(0x60023000, "OW", bytes(8)) if own else b"")
    head = image(write, bits=16, stored=12) + body
    about, sop_class, syntax = describe(head)
    assert plan(about, sop_class, syntax, basic()).clear_unused is bool(cleared)
    assert refusal(head, PixelFacts(True, 18, False, ())) == ""


@pytest.mark.parametrize(
    ("bits", "stored", "position"), [(16, 16, 12), (16, 12, 3), (8, 8, 12), (1, 1, 3), (16, 12, 0)]
)
def test_overlays_in_bits_of_the_picture_are_refused(write, bits, stored, position):
    head = image(write, bits=bits, stored=stored) + overlay(write, position, 16)
    assert "an overlay (group 6002)" in refusal(head, PixelFacts(True, 0, False, ()))


def overlay(write, position: int, bits: int) -> bytes:
    return write.element(0x60020100, "US", struct.pack("<H", bits)) + write.element(
        0x60020102, "US", struct.pack("<H", position)
    )


ALL = ((0x00080060, "US"), (0x00080070, "ACME*"))
BANNER = (Region(0, 0, 3, 1),)


@pytest.mark.parametrize(
    ("rule", "settled"),
    [
        (PixelRule(ALL, trust=True), True),
        (PixelRule(ALL, blank=BANNER), True),
        (PixelRule(ALL, blank=(Region(3, 0, 9, 9),)), False),
        (PixelRule(((0x00080060, "US"), (0x00080070, "acme*")), trust=True), False),
        (PixelRule((*ALL, (0x00081090, "*")), trust=True), False),
        (PixelRule((*ALL, (0x00280010, "3"), (0x00080016, "1.2.840.10008.5.1.4.1.1.6.*")), trust=True), True),
    ],
)
@pytest.mark.parametrize("said", [b"", b"YES"])
def test_a_pixel_rule_of_the_profile_settles_what_is_burned_in(write, rule, settled, said):
    body = write.element(0x00080060, "CS", b"US") + write.element(0x00080070, "LO", b"ACME Inc")
    body += write.element(0x00280301, "CS", said)
    head = image(write, body=body, sop_class="6.1")
    found = why(head, PixelFacts(True, 10, False, ()), ruled(rule))
    assert bool(found) is not settled
    assert all("pixel rule" in reason.text for reason in found)


def test_every_value_of_an_element_that_is_there_twice_must_match(write):
    twice = write.element(0x00080060, "CS", b"US") + write.element(0x00080060, "CS", b"CT")
    rule = PixelRule(((0x00080060, "US"),), trust=True)
    assert "ultrasound" in refusal(write.file(twice, sop_class="6.1"), profile=ruled(rule))


def test_regions_that_cannot_be_blanked_exactly_are_refused(write):
    everywhere = ruled(PixelRule((), blank=BANNER))

    def said(length: int = 10, **description) -> str:
        return refusal(image(write, **description), PixelFacts(True, length, False, ()), everywhere)

    assert said() == ""
    assert "black" in said(photometric=b"HSV")
    assert "contradicts" in said(photometric=b"RGB")
    assert "packed" in said(bits=12, length=14)
    assert "pairs" in said(18, photometric=b"YBR_FULL_422", samples=3)
    assert "fewer" in said(8)
    assert "more" in said(18)
    assert "not whole" in refusal(write.file(b""), PixelFacts(True, 0, False, ()), everywhere)


def test_documents_are_served_where_the_profile_allows_them_but_voices_are_not(write):
    allowing = replace(basic(), documents="allow")
    assert refusal(write.file(b"", sop_class="104.1"), profile=allowing) == ""
    assert "voice" in refusal(write.file(b"", sop_class="9.4.1"), profile=allowing)


@pytest.mark.parametrize("documents", ["refuse", "quarantine"])
@pytest.mark.parametrize("burned_in", ["refuse", "quarantine"])
def test_a_person_may_lift_what_the_profile_puts_into_quarantine(write, documents, burned_in):
    head = write.file(write.element(0x00280301, "CS", b"YES"), sop_class="104.1")
    profile = replace(basic(), documents=documents, burned_in=burned_in)
    document, picture, *others = why(head, profile=profile)
    assert document.liftable is (documents == "quarantine")
    assert picture.liftable is (burned_in == "quarantine")
    assert others == []


def test_what_must_be_there(write):
    head = write.file(b"")
    without_class = head.replace(b"\x02\x00\x02\x00UI", b"\x02\x00\x04\x00UI").replace(
        b"\x08\x00\x16\x00UI", b"\x08\x00\x15\x00UI"
    )
    assert refusal(without_class) == "the SOP class is missing"
    assert "no UID" in refusal(head.replace(b"1.2.840.10008.5.1.4.1.1.4", b"DOE^JANE 12 APRIL 1952..."))
