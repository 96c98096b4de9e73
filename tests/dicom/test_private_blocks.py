"""Private attributes stay only under the creator that is listed or that the site names; orphans never."""

import pytest

from mdm_async.dicom.elements import EXPLICIT_BIG, EXPLICIT_LITTLE, IMPLICIT_LITTLE
from mdm_async.dicom.profile import Action, PrivateKey, Profile
from mdm_async.dicom.scrub import PixelFacts, scrub
from tests.pipeline import read

KEY = bytes(range(32))
NO_PIXELS = PixelFacts(False, 0, False, ())
SAFE = Profile("safe", options=frozenset({"retain_safe_private"}))
PHILIPS = b"Philips Imaging DD 001"


def scrubbed(data: bytes, profile: Profile = SAFE):
    made = scrub(data, b"", profile=profile, key=KEY, pixels=NO_PIXELS).head
    assert b"SECRET" not in made
    return read(made)


def tags(found) -> list[int]:
    return [int(tag) for tag in found.keys() if tag.is_private]  # noqa: SIM118


def block(write, number: int, creator: bytes, *elements: tuple[int, str, bytes]) -> bytes:
    """A reservation in group 2001 and its elements, the block's number in them."""
    return write.element(0x20010000 | number, "LO", creator) + b"".join(
        write.element(0x20010000 | number << 8 | low, vr, value) for low, vr, value in elements
    )


@pytest.mark.parametrize(
    ("encoding", "syntax"),
    [
        (EXPLICIT_LITTLE, "1.2.840.10008.1.2.1"),
        (IMPLICIT_LITTLE, "1.2.840.10008.1.2"),
        (EXPLICIT_BIG, "1.2.840.10008.1.2.2"),
    ],
)
def test_listed_attributes_stay_in_whatever_block_with_their_creator(writer, encoding, syntax):
    write = writer(encoding)
    creators = [
        write.element(0x20010010, "LO", b"SECRET CREATOR"),
        write.element(0x20010077, "LO", PHILIPS + b"  "),
    ]
    elements = [
        write.element(0x20011006, "CS", b"SECRET"),
        write.element(0x20017706, "CS", b"Y "),
        write.element(0x200177FE, "LO", b"SECRET"),
    ]
    body = b"".join(creators + elements)
    data = write.file(body + write.sequence(0x20050010, b"") + write.sequence(0x20051000, body), syntax)
    nested = write.file(write.sequence(0x00082218, body), syntax)
    found = scrubbed(data)
    assert tags(found) == [0x20010077, 0x20017706]
    assert (found[0x20010077].value, found[0x20017706].value) == (PHILIPS.decode(), "Y")
    assert tags(scrubbed(nested).AnatomicRegionSequence[0]) == [0x20010077, 0x20017706]
    assert tags(scrubbed(data, Profile("none"))) == []


def test_a_creator_of_whose_block_nothing_stays_goes(write):
    data = write.file(block(write, 0x10, PHILIPS, (0xFE, "LO", b"SECRET")))
    assert tags(scrubbed(data)) == []


def test_orphans_and_blocks_reserved_twice_are_removed(write):
    orphan = write.element(0x20011006, "CS", b"SECRET")
    twice = write.element(0x20010010, "LO", PHILIPS) + write.element(0x20010010, "LO", b"SECRET") + orphan
    late = write.element(0x20011006, "CS", b"SECRET") + write.element(0x20010010, "LO", PHILIPS)
    other = write.element(0x20010010, "OB", PHILIPS) + orphan
    foreign = write.element(0x20010010, "LO", "Philips Imäging DD 001".encode()) + orphan
    early_and_late = late + write.element(0x20011006, "CS", b"Y ")
    assert tags(scrubbed(write.file(early_and_late))) == [0x20010010, 0x20011006]
    elsewhere = write.element(0x20010010, "LO", PHILIPS) + write.element(0x20031006, "CS", b"SECRET")
    first = write.element(0x20010010, "LO", b"ACME") + write.element(0x20010010, "LO", PHILIPS) + orphan
    for body in (orphan, twice, first, late, other, foreign, elsewhere):
        assert tags(scrubbed(write.file(body))) == []
    same = write.element(0x20010010, "LO", PHILIPS) * 2 + write.element(0x20011006, "CS", b"Y ")
    made = scrub(write.file(same), b"", profile=SAFE, key=KEY, pixels=NO_PIXELS).head
    assert made.count(PHILIPS) == 1
    assert b"Y " in made


def test_a_block_reserved_outside_is_not_reserved_in_an_item(write):
    orphan = write.sequence(0x00082218, write.element(0x20011006, "CS", b"SECRET"))
    body = orphan + block(write, 0x10, PHILIPS, (0x06, "CS", b"Y "))
    found = scrubbed(write.file(body))
    assert tags(found.AnatomicRegionSequence[0]) == []
    assert tags(found) == [0x20010010, 0x20011006]


def test_a_listed_attribute_of_another_vr_is_removed(write):
    body = block(write, 0x10, PHILIPS, (0x06, "LO", b"SECRET"), (0x0F, "SS", b"\1\0"))
    assert tags(scrubbed(write.file(body))) == [0x20010010, 0x2001100F]


def test_listed_sequences_are_gone_into(write, writer):
    inner = write.element(0x00100010, "PN", b"SECRET") + write.element(0x00280010, "US", b"\1\0")
    inner += block(write, 0x10, PHILIPS, (0x06, "CS", b"Y "), (0xFE, "LO", b"SECRET"))
    for undefined in (False, True):
        body = write.element(0x20010010, "LO", PHILIPS)
        body += write.sequence(0x2001106B, inner, undefined=undefined)
        found = scrubbed(write.file(body))
        (item,) = found[0x2001106B].value
        assert (item.Rows, item.PatientName, tags(item)) == (1, "", [0x20010010, 0x20011006])
    no_items = write.element(0x20010010, "LO", PHILIPS) + write.element(0x2001106B, "UN", b"SECRET SECRET")
    assert tags(scrubbed(write.file(no_items))) == []


def test_a_sites_rules_for_private_attributes(write):
    rules = (
        (PrivateKey("ACME", 0x0019, 0x01), Action.KEEP, None),
        (PrivateKey("ACME", 0x0019, 0x02), Action.UID, None),
        (PrivateKey("ACME", 0x0019, 0x03), Action.DUMMY, "Study"),
        (PrivateKey("ACME", 0x0019, 0x04), Action.EMPTY, None),
        (PrivateKey("ACME", 0x0019, 0x05), Action.CLEAN, None),
        (PrivateKey("ACME", 0x0019, 0x06), Action.CLEAN, None),
        (PrivateKey("ACME", 0x0019, 0x07), Action.DUMMY, None),
    )
    body = write.element(0x00190010, "LO", b"ACME")
    for low, vr, value in (
        *((1, "LO", b"kept"), (2, "UI", b"1.2.3"), (3, "LO", b"SECRET"), (4, "LO", b"SECRET")),
        *((5, "LO", b"head of SECRET"), (6, "LO", b"SECRET"), (7, "DA", b"20240101"), (8, "LO", b"SECRET")),
    ):
        body += write.element(0x00191000 | low, vr, value)
    found = scrubbed(write.file(body), Profile("site", site=rules))
    values = [found.get((0x0019, 0x1000 | low)) for low in range(1, 9)]
    said = [one.value if one is not None else None for one in values]
    assert said[0] == "kept"
    assert said[1].startswith("2.25.")
    assert said[2:] == ["Study", "", "head of", None, "19000101", None]


def test_the_report_counts_private_attributes_together(write):
    body = block(write, 0x10, PHILIPS, (0x06, "CS", b"Y "), (0xFE, "LO", b"SECRET"), (0xFF, "LO", b"SECRET"))
    made = scrub(write.file(body), b"", profile=SAFE, key=KEY, pixels=NO_PIXELS)
    private = {
        (one.tag, one.name, one.action, one.because): one.count for one in (made.touched[-1], made.stayed[-1])
    }
    assert private == {
        ("private", "", "K", "option retain_safe_private"): 1,
        ("private", "", "X", "PS3.15 basic"): 2,
    }


@pytest.mark.parametrize("value", [b"SECRET", b"SECRET JOHN", b"Y\\SECRET"])
def test_a_code_string_of_a_listed_block_is_not_believed_either(write, value):
    body = write.file(block(write, 0x10, PHILIPS, (0x06, "CS", value)))
    assert scrubbed(body)[0x20011006].value == "REMOVED"


def test_but_stays_where_the_site_asks_for_it(write):
    body = write.file(block(write, 0x10, PHILIPS, (0x06, "CS", b"OFTHESITE")))
    site = Profile("site", site=((PrivateKey(PHILIPS.decode(), 0x2001, 0x06), Action.KEEP, None),))
    assert scrubbed(body, site)[0x20011006].value == "OFTHESITE"


@pytest.mark.parametrize(
    ("value", "stays"),
    [(b"SECRET JOHN", "REMOVED"), (b"19600101", "REMOVED"), (b"SECRET head coil", "head coil"), (b"", None)],
)
@pytest.mark.parametrize(
    ("encoding", "syntax", "vr"),
    [
        (EXPLICIT_LITTLE, "1.2.840.10008.1.2.1", "SH"),
        (EXPLICIT_LITTLE, "1.2.840.10008.1.2.1", "UN"),
        (IMPLICIT_LITTLE, "1.2.840.10008.1.2", "SH"),
    ],
)
def test_of_a_text_of_a_listed_block_known_words_stay(writer, encoding, syntax, vr, value, stays):
    write = writer(encoding)
    body = block(write, 0x10, PHILIPS, (0x6E, vr, value))
    assert (scrubbed(write.file(body, syntax))[0x2001106E].value or None) == stays


def test_a_text_of_a_listed_block_stays_whole_where_the_site_names_it(write):
    named = ((PrivateKey(PHILIPS.decode(), 0x2001, 0x8B), Action.KEEP, None),)
    body = write.file(block(write, 0x10, PHILIPS, (0x8B, "SH", b"XJ-7 Q"), (0x6E, "SH", b"XJ-7 Q")))
    found = scrubbed(body, Profile("site", options=SAFE.options, site=named))
    assert (found[0x2001108B].value, found[0x2001106E].value) == ("XJ-7 Q", "REMOVED")


@pytest.mark.parametrize("vr", ["UN", ""])
@pytest.mark.parametrize(
    ("creator", "tag", "written", "value", "stays"),
    [
        ("GEMS_PARM_01", 0x00431027, "SH", "/1.0:1", True),
        ("GEMS_PARM_01", 0x00431027, "SH", "19600101:1", False),
        ("GEMS_ACQU_01", 0x0019109E, "LO", "EFGRE3D", True),
        ("GEMS_ACQU_01", 0x0019109E, "LO", "SECRET", False),
        (PHILIPS.decode(), 0x20011087, "SH", "31P", True),
        (PHILIPS.decode(), 0x2001108B, "SH", "Q-Body", True),
        (PHILIPS.decode(), 0x2001108B, "SH", "SECRET Body", False),
        (PHILIPS.decode(), 0x2001106D, "LO", "Arial", True),
    ],
)
def test_a_text_of_a_listed_block_stays_whole_where_it_has_a_form(
    write, creator, tag, written, value, stays, vr
):
    body = write.element(tag & 0xFFFF0000 | 0x10, "LO", creator.encode())
    body += write.element(tag, vr or written, value.encode())
    assert scrubbed(write.file(body))[tag].value == (value if stays else "REMOVED")
