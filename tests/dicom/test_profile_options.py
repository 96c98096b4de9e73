"""Each option's column of Table E.1-1, cell by cell, and what two options make of one attribute."""

import csv

import pytest
from pydicom.sr.codedict import codes

from mdm_async.dicom.dictionary import vr_of
from mdm_async.dicom.profile import OPTIONS, Action, Profile, Rule, basic
from mdm_async.dicom.profiles.table import lines, rows

FULL, MODIFIED = "retain_longitudinal_full_dates", "retain_longitudinal_modified_dates"

# Where the cell's code is not what is done: what is done instead, and why.
AE_TITLES = {  # one word, which cannot be cleaned
    *(0x21000140, 0x00081000, 0x21000070, 0x00400241, 0x00741234, 0x00741236, 0x00080054, 0x00400001),
    *(0x00321021, 0x0072005E, 0x00080055),
}
NOT_TEXT = {
    0x0016004B,  # Device Setting Description: bytes
    0x0016002B,  # Maker Note: bytes
    0x04000310,  # Certified Timestamp: bytes, which cannot be moved
    0x00340007,  # Frame Origin Timestamp: likewise
    0x00080201,  # Timezone Offset From UTC: no date
}
NOT_IN_THE_DICTIONARY = {  # newer than it, so that nothing says what they hold
    *(0x00100016, 0x00100042, 0x00100043, 0x00100045, 0x00100046, 0x00100047, 0x00102162),
    *(0x00081301, 0x00081302, 0x00081303, 0x00081304, 0x0040B03B, 0x0040B03F),
    *(0x0040A034, 0x0040A035, 0x0040B034, 0x0040B036),
}
REMOVED_GROUPS = {0x0000, 0x0002, 0x0004}


def chosen(*options: str) -> Profile:
    return Profile("x", options=frozenset(options))


def column(option: str) -> dict[int, str]:
    return {row.single: row.options[option] for row in rows() if row.single and option in row.options}


def test_the_options_are_the_columns():
    header = next(csv.reader(lines("e1-1")))
    assert tuple(header[header.index("basic") + 1 :]) == OPTIONS


@pytest.mark.parametrize("option", OPTIONS)
def test_each_cell_of_the_column_is_done_as_it_says(option):
    profile = chosen(option)
    differences = {}
    for tag, code in column(option).items():
        done = profile.rule(tag)
        due = Action.SHIFT if option == MODIFIED else Action(code)
        if tag >> 16 in REMOVED_GROUPS:
            assert done.action is Action.REMOVE
        elif done != Rule(due, f"option {option}"):
            differences[tag] = done
    assert differences.keys() <= AE_TITLES | NOT_TEXT | NOT_IN_THE_DICTIONARY
    assert all(rule == basic().rule(tag) for tag, rule in differences.items())


def test_every_exception_is_one():
    excepted = set()
    for option in OPTIONS:
        profile = chosen(option)
        excepted |= {tag for tag in column(option) if profile.rule(tag) == basic().rule(tag)}
    assert {tag for tag in excepted if tag >> 16 not in REMOVED_GROUPS} == (
        AE_TITLES | NOT_TEXT | NOT_IN_THE_DICTIONARY
    )
    assert {vr_of(tag) for tag in AE_TITLES} == {b"AE"}
    assert {vr_of(tag) for tag in NOT_IN_THE_DICTIONARY} == {None}


@pytest.mark.parametrize("option", OPTIONS)
def test_attributes_outside_the_column_are_as_in_the_basic_profile(option):
    profile = chosen(option)
    for row in rows():
        if row.single and option not in row.options:
            assert profile.rule(row.single) == basic().rule(row.single)


def test_uids_beside_the_table_are_kept_with_those_of_the_table():
    """Some name the same instances: kept and replaced ones would not meet."""
    for tag in BESIDE_UIDS:
        assert basic().rule(tag).action is Action.UID
        assert chosen("retain_uids").rule(tag) == Rule(Action.KEEP, "option retain_uids")


BESIDE_UIDS = (
    *(0x0008010D, 0x00081167, 0x00083012, 0x0018991E, 0x00200242, 0x00209312, 0x00209313, 0x00280304),
    *(0x0040A021, 0x0040A022, 0x0040E011, 0x0040E030, 0x0040E031, 0x00440102, 0x00440108, 0x00687004),
    *(0x0070031B, 0x00701209, 0x00701904, 0x0072007F, 0x300A0675, 0x3010001F),
)


@pytest.mark.parametrize(
    "tag",
    [row.single for row in rows() if row.single and {MODIFIED, "retain_device_identity"} <= set(row.options)],
)
def test_calibration_dates_are_kept_with_the_device_but_moved_where_dates_are_moved(tag):
    assert chosen("retain_device_identity").rule(tag).action is Action.KEEP
    assert chosen("retain_device_identity", FULL).rule(tag).action is Action.KEEP
    assert chosen("retain_device_identity", MODIFIED).rule(tag) == Rule(Action.SHIFT, f"option {MODIFIED}")


def test_moved_dates_leave_no_kept_date_beside_them():
    """One real date beside a moved one would give the shift away."""
    everything = Profile("x", options=frozenset(OPTIONS) - {FULL})
    for row in rows():
        if row.single and vr_of(row.single) in (b"DA", b"DT"):
            assert everything.rule(row.single).action is not Action.KEEP


def test_words_are_cleaned_wherever_an_option_says_so():
    allergies = 0x00102110  # C in two columns
    assert chosen("clean_descriptors").rule(allergies) == Rule(Action.CLEAN, "option clean_descriptors")
    both = chosen("clean_descriptors", "retain_patient_characteristics").rule(allergies)
    assert both == Rule(Action.CLEAN, "option retain_patient_characteristics")


def test_the_device_uid_is_kept_by_either_option():
    for options in (["retain_uids"], ["retain_device_identity"], ["retain_uids", "retain_device_identity"]):
        assert chosen(*options).rule(0x00181002).action is Action.KEEP
    assert basic().rule(0x00181002).action is Action.UID


def test_with_clean_graphics_what_shows_an_overlay_is_kept_and_what_speaks_is_cleaned():
    profile = chosen("clean_graphics")
    for group in (0x6000, 0x6002, 0x60FE):
        first = group << 16
        for element in (0x0010, 0x0011, 0x0015, 0x0040, 0x0050, 0x0051, 0x0100, 0x0102):
            assert profile.rule(first | element) == Rule(Action.KEEP, "option clean_graphics")
        for element in (0x3000, 0x4000, 0x0022, 0x0045, 0x1500):
            assert profile.rule(first | element) == Rule(Action.CLEAN, "option clean_graphics")
        for element in (0x0060, 0x0061, 0x0062, 0x0800, 0x1200, 0x9999):
            assert profile.rule(first | element).action is Action.REMOVE
    assert profile.rule(0x60013000).action is Action.REMOVE  # private


def test_with_clean_graphics_curves_and_their_audio_are_still_removed():
    for tag in (0x50003000, 0x5002200C, 0x501E2500):
        assert chosen("clean_graphics").rule(tag) == basic().rule(tag) == Rule(Action.REMOVE, "PS3.15 basic")


def test_the_codes_are_those_of_the_standard():
    cid_7050 = (getattr(codes.cid7050, name) for name in codes.cid7050.dir())
    meanings = {code.value: code.meaning for code in cid_7050}
    everything = chosen(*OPTIONS).codes()
    assert dict(everything).items() <= meanings.items()
    # Not said by a profile: pixels and faces, which are cleaned in single images or not at all.
    assert meanings.keys() - dict(everything).keys() == {"113101", "113102"}
    assert list(everything) == sorted(everything)
    assert everything[0][0] == "113100"


@pytest.mark.parametrize("option", OPTIONS)
def test_each_option_says_its_code_beside_that_of_the_basic_profile(option):
    (first, _), (code, meaning) = chosen(option).codes()
    assert first == "113100" != code
    assert set(option.split("_")) <= {word.lower() for word in meaning.split()}
