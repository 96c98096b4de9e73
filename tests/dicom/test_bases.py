"""What is done with attributes that nobody names: denied, kept by the letter of the standard, or denied altogether."""

import pytest
from pydicom._dicom_dict import DicomDictionary

from mdm_async.dicom.dictionary import vr_of
from mdm_async.dicom.profile import Action, Profile, basic
from mdm_async.dicom.profiles.reviewed import reviewed
from mdm_async.dicom.profiles.table import rows
from mdm_async.dicom.scrub import PixelFacts, scrub
from tests.pipeline import KEY, read

NO_PIXELS = PixelFacts(present=False, value_length=0, encapsulated=False, findings=())
LETTER, ONLY = Profile("letter", base="ps3.15"), Profile("only", base="keep-only")
NUMBERS = {"AT", "CS", "DS", "FD", "FL", "IS", "SL", "SQ", "SS", "SV", "UL", "US", "UV"}
NAMED = {row.single for row in rows()} | reviewed().keys()


def test_under_basic_nothing_that_could_hold_text_is_kept_without_a_row_of_its_own():
    kept = {tag for tag in DicomDictionary if basic().rule(tag).action is Action.KEEP}
    assert all(set(DicomDictionary[tag][0].split(" or ")) <= NUMBERS for tag in kept - NAMED)
    assert len(kept) > 2500


@pytest.mark.parametrize("tag", [0x00100033, 0x00401006, 0x04000500, 0x00282000, 0x00189423, 0x00400400])
def test_what_the_standard_forgets_goes_but_for_its_letter(write, tag):
    vr = (vr_of(tag) or b"UN").decode()
    body = write.element(tag, vr, b"" if vr == "SQ" else b"19600101")
    basic_made, letter_made = (
        scrub(write.file(body), b"", profile=profile, key=KEY, pixels=NO_PIXELS).head
        for profile in (basic(), LETTER)
    )
    assert b"19600101" not in basic_made
    if vr != "SQ":
        assert b"19600101" in letter_made


@pytest.mark.parametrize("tag", [0x4FFE0001, 0x00189999, 0x0040E011, 0x00100010])
def test_even_the_letter_keeps_no_signatures_nor_what_nobody_knows(tag):
    assert LETTER.rule(tag).action is not Action.KEEP


def test_by_the_letter_dates_that_no_row_names_are_moved_with_the_others():
    moved = Profile("moved", base="ps3.15", options=frozenset({"retain_longitudinal_modified_dates"}))
    dates = {tag for tag, entry in DicomDictionary.items() if entry[0] in ("DA", "DT")}
    assert {tag for tag in dates if moved.rule(tag).action is Action.KEEP} == set()


def test_keep_only_keeps_what_it_is_told_and_what_a_file_needs(write):
    body = b"".join(
        [
            write.element(0x00080060, "CS", b"MR"),
            write.element(0x00100010, "PN", b"SMITH^JOHN"),
            write.element(0x00180050, "DS", b"1.25"),
            write.element(0x00180080, "DS", b"5000"),
            write.element(0x0020000D, "UI", b"1.2.3"),
            write.element(0x00280010, "US", b"\x10\x00"),
        ]
    )
    profile = Profile("one", base="keep-only", site=((0x00180050, Action.KEEP, None),))
    found = read(scrub(write.file(body), b"", profile=profile, key=KEY, pixels=NO_PIXELS).head)
    assert (found.Modality, found.SliceThickness, found.Rows) == ("MR", 1.25, 16)
    assert "RepetitionTime" not in found
    assert found.StudyInstanceUID.startswith("2.25.")
    assert "SMITH" not in str(found)
    assert "SliceThickness" not in read(
        scrub(write.file(body), b"", profile=ONLY, key=KEY, pixels=NO_PIXELS).head
    )


def test_keep_only_keeps_what_an_option_names():
    device = Profile("device", base="keep-only", options=frozenset({"retain_device_identity"}))
    assert device.rule(0x00181000).action is Action.KEEP
    assert ONLY.rule(0x00181000).action is Action.REMOVE


def test_bases_have_digests_of_their_own():
    assert len({basic().digest, LETTER.digest, ONLY.digest, Profile("x").digest}) == 3
