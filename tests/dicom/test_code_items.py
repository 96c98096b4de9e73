"""One rule for codes wherever they stand: published ones say what is published, others say nothing."""

import pytest

from mdm_async.dicom.profile import Profile, basic
from mdm_async.dicom.scrub import PixelFacts, scrub
from tests.pipeline import KEY, read

NO_PIXELS = PixelFacts(present=False, value_length=0, encapsulated=False, findings=())
CLEANED = Profile(
    "cleaned", options=frozenset({"clean_descriptors", "clean_structured_content", "clean_graphics"})
)
BASIC, LETTER = basic(), Profile("letter", base="ps3.15")
PLACES = {
    "a region": lambda write, item: write.sequence(0x00082218, item),
    "deeper": lambda write, item: write.sequence(
        0x52009229, write.sequence(0x00209071, write.sequence(0x00082218, item))
    ),
    "a report": lambda write, item: write.sequence(
        0x0040A730, write.element(0x0040A040, "CS", b"CODE") + write.sequence(0x0040A168, item)
    ),
}


def code(write, scheme=b"SCT", value=b"10200004", meaning=b"Liver", *beside: bytes) -> bytes:
    item = write.element(0x00080100, "SH", value) + write.element(0x00080102, "SH", scheme)
    return item + write.element(0x00080104, "LO", meaning) + b"".join(beside)


def made_of(write, item, place="a region", profile=BASIC, tail=False):
    body = PLACES[place](write, item)
    head, rest = (write.file(b""), body) if tail else (write.file(body), b"")
    made = scrub(head, rest, profile=profile, key=KEY, pixels=NO_PIXELS)
    return made.head + made.tail


@pytest.mark.parametrize("profile", [basic(), CLEANED, LETTER], ids=lambda p: p.name)
@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("tail", [False, True], ids=["head", "tail"])
@pytest.mark.parametrize(
    "hidden",
    [
        (b"99SMITH", b"4711", b"SMITH JOHN"),
        (b"DCM", b"121322", b"SMITH JOHN"),
        (b"SCT", b"10200004", b"SMITH"),
        (b"SCT", b"SMITH", b"Liver"),
        (b"SCT", b"19600101", b"Liver"),
        (b"SMITH", b"10200004", b"Liver"),
        (b"", b"SMITH", b"SMITH"),
        (b"UCUM", b"{SMITH}", b"SMITH"),
    ],
    ids=lambda one: b"|".join(one).decode(),
)
def test_no_name_is_in_a_code(write, hidden, place, profile, tail):
    out = made_of(write, code(write, *hidden), place, profile, tail)
    assert b"SMITH" not in out
    assert b"19600101" not in out
    assert b"4711" not in out


def test_a_published_code_stays_byte_for_byte(write):
    item = code(write)
    assert item in made_of(write, item)
    assert item in made_of(write, item, "a report", CLEANED)


def test_a_meaning_of_ones_own_becomes_the_published_one(write):
    found = read(made_of(write, code(write, meaning=b"LEBER VON SMITH"))).AnatomicRegionSequence[0]
    assert (found.CodeValue, found.CodingSchemeDesignator, found.CodeMeaning) == ("10200004", "SCT", "Liver")


def test_codes_of_a_site_are_pseudonyms_that_stay_equal(write):
    one, again, other = (
        read(made_of(write, code(write, b"99SITE", value, b"anything"))).AnatomicRegionSequence[0]
        for value in (b"A1", b"A1", b"A2")
    )
    assert one.CodeValue == again.CodeValue != other.CodeValue
    assert (one.CodingSchemeDesignator, one.CodeMeaning) == ("99MDM", "REMOVED")


def test_what_is_said_twice_is_not_published(write):
    twice = code(write) + write.element(0x00080104, "LO", b"SMITH")
    assert b"SMITH" not in made_of(write, twice)
    for beside in (code(write, value=b"SMITH"), write.element(0x00080102, "SH", b"SMITH") + code(write)):
        assert b"SMITH" not in made_of(write, beside + code(write))
    apart = code(write, b"SCT", b"10200004", b"Liver", write.element(0x00080119, "UC", b"SMITH"))
    assert b"SMITH" not in made_of(write, apart)


def test_a_code_inside_of_a_code_is_judged_by_itself(write):
    inner = write.sequence(0x00080121, write.element(0x00080104, "LO", b"SMITH"))
    assert b"SMITH" not in made_of(write, code(write) + inner)
    among = write.element(0x00080100, "SH", b"10200004") + write.sequence(
        0x00080110, write.element(0x00080104, "LO", b"SMITH")
    )
    among += write.element(0x00080102, "SH", b"SCT") + write.element(0x00080104, "LO", b"Liver")
    assert b"SMITH" not in made_of(write, among)


@pytest.mark.parametrize("vr", ["LT", "UT", "PN", "OB"])
def test_a_code_that_is_kept_gets_the_vr_that_it_has(write, vr):
    def item(vr: str) -> bytes:
        return write.element(0x00080100, vr, b"10200004") + code(write)[16:]

    right = item("SH")
    assert right == code(write)
    assert write.sequence(0x00082218, right) in made_of(write, item(vr))


@pytest.mark.parametrize("version", [b"SMITH", b"SMITH1960", b"4711-0815"])
def test_a_version_is_one_or_goes(write, version):
    item = write.element(0x00080100, "SH", b"10200004") + write.element(0x00080102, "SH", b"SCT")
    item += write.element(0x00080103, "SH", version) + write.element(0x00080104, "LO", b"Liver")
    assert version not in made_of(write, item)
    kept = item.replace(
        write.element(0x00080103, "SH", version), write.element(0x00080103, "SH", b"20240301")
    )
    assert kept in made_of(write, kept)


def test_the_same_text_beside_what_is_cleaned_is_cleaned_too(write):
    body = b"".join(
        write.element(tag, vr, b"chest of SMITH")
        for tag, vr in ((0x00181030, "LO"), (0x00189423, "LO"), (0x00620006, "ST"), (0x00700081, "LO"))
    )
    made = scrub(write.file(body), b"", profile=CLEANED, key=KEY, pixels=NO_PIXELS).head
    assert b"SMITH" not in made
    found = read(made)
    assert all("chest" in str(found[tag].value) for tag in (0x00181030, 0x00189423))
