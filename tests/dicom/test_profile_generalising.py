"""Attributes that a profile makes coarser, dates that it moves, private ones too."""

import io

import pydicom
import pytest
from pydicom.dataset import Dataset

from mdm_async.dicom.profile import Action
from mdm_async.dicom.profiles.file import dump_profile, parse_profile
from mdm_async.dicom.profiles.in_words import in_words
from mdm_async.dicom.scrub import begin
from tests.dicom.conftest import KEY

LUNG = """
name = "lung"
[attributes]
PatientAge = { generalise = "bins of 5 years" }
PatientBirthDate = { generalise = "year" }
StudyDate = { generalise = "year" }
AcquisitionDateTime = { generalise = "month" }
StudyTime = { generalise = "hour" }
RegionOfResidence = { generalise = "first 3 of postal code" }
"""
AGE, BIRTH, STUDY, MOMENT, TIME, REGION = (
    0x00101010,
    0x00100030,
    0x00080020,
    0x0008002A,
    0x00080030,
    0x00102152,
)
VALUES = {
    STUDY: ("DA", b"20240704", "20240101"),
    MOMENT: ("DT", b"20240704093000", "202407"),
    TIME: ("TM", b"093059", "090000"),
    BIRTH: ("DA", b"19401231", "19400101"),
    AGE: ("AS", b"083Y", "080Y"),
    REGION: ("LO", b"80331", "803"),
}


def viewed(write, values, profile) -> Dataset:
    body = b"".join(write.element(tag, vr, value) for tag, (vr, value, *_) in sorted(values.items()))
    begun = begin(write.file(body), profile=parse_profile(profile), key=KEY)
    return pydicom.dcmread(io.BytesIO(begun.head))


def test_values_come_out_coarser(write):
    view = viewed(write, VALUES, LUNG)
    assert {tag: str(view[tag].value) for tag in VALUES} == {
        tag: value for tag, (_, _, value) in VALUES.items()
    }
    assert view.LongitudinalTemporalInformationModified == "MODIFIED"


@pytest.mark.parametrize("tag", sorted(VALUES))
def test_what_is_not_understood_is_not_let_through(tag, write):
    view = viewed(write, {tag: (VALUES[tag][0], b"Smith")}, LUNG)
    assert "Smith" not in str(view.get(tag, ""))


def test_an_empty_value_stays_empty(write):
    assert not viewed(write, {STUDY: ("DA", b"")}, LUNG)[STUDY].value


def test_the_rule_holds_at_any_depth_and_by_pattern(write):
    date = write.element(STUDY, "DA", b"20240704")
    begun = begin(
        write.file(write.sequence(0x00081115, date)),
        profile=parse_profile('name = "x"\n[attributes]\n"VR:DA" = { generalise = "year" }'),
        key=KEY,
    )
    assert b"20240101" in begun.head
    assert b"20240704" not in begun.head


def test_it_survives_being_written_out_is_in_the_digest_and_told_in_words():
    profile = parse_profile(LUNG + '"VR:TM" = { generalise = "hour" }\n')
    again = parse_profile(dump_profile(profile))
    assert again == profile
    assert again.digest == profile.digest
    assert parse_profile(LUNG).digest != parse_profile(LUNG.replace("of 5", "of 10")).digest
    said = list(in_words(profile))
    assert "PatientAge (0010,1010) is made coarser: bins of 5 years" in said
    assert any(line.startswith("VR:TM makes coarser (hour) ") for line in said)
    assert profile.rule(AGE).action is Action.CLEAN


def test_ages_that_other_dates_tell_are_warned_about():
    warned = parse_profile(LUNG).warnings
    assert "keeps the year of PatientBirthDate, which tells ages over 89" in warned
    moved = (
        'options = ["retain_longitudinal_modified_dates"]\n[attributes]\nPatientAge = { generalise = "90+" }\n'
        'PatientBirthDate = "S"'
    )
    assert any("tell all the same" in one for one in parse_profile(f'name = "x"\n{moved}').warnings)
    assert not parse_profile('name = "x"\n[attributes]\nPatientAge = { generalise = "90+" }').warnings


def private(write, vr: str, value: bytes) -> bytes:
    return write.element(0x00190010, "LO", b"ACME 1.1") + write.element(0x00191010, vr, value)


@pytest.mark.parametrize(
    ("letter", "vr", "value", "left"),
    [
        ("S", "DA", b"20240704", True),
        ("S", "DT", b"20240704093000", True),
        ("S", "LO", b"20240704", False),
        ("S", "UN", b"20240704", False),
        ("U", "UI", b"1.2.3.4", True),
        ("U", "LO", b"1.2.3.4", False),
        ("U", "UN", b"1.2.3.4", False),
    ],
)
def test_private_dates_are_moved_and_private_uids_replaced_where_their_vr_is_known(
    letter, vr, value, left, write
):
    rules = f'name = "x"\n[attributes]\n"0019,xx10 ACME 1.1" = "{letter}"\n'
    assert parse_profile(dump_profile(parse_profile(rules))) == parse_profile(rules)
    begun = begin(write.file(private(write, vr, value)), profile=parse_profile(rules), key=KEY)
    view = pydicom.dcmread(io.BytesIO(begun.head))
    assert value not in begun.head
    assert ((0x0019, 0x1010) in view) is left
    if left and letter == "S":
        assert str(view[0x0019, 0x1010].value)[8:] == value.decode()[8:]
    if left and letter == "U":
        assert view[0x0019, 0x1010].value.startswith("2.25.")
