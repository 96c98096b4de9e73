"""Rules of many attributes: which of a site's rules holds, what is refused, and what is told of it."""

import io

import pydicom
import pytest

from mdm_async.dicom.profile import Action, basic
from mdm_async.dicom.profiles.attribute_rules import retained_by
from mdm_async.dicom.profiles.file import dump_profile, parse_profile
from mdm_async.dicom.profiles.in_words import in_words
from mdm_async.dicom.scrub import begin, scrub
from mdm_async.errors import BadRequest
from tests.dicom.conftest import KEY


def profile(lines: str):
    return parse_profile(f'name = "x"\n[attributes]\n{lines}\n')


NAME, BIRTH_DATE, BIRTH_TIME, COMMENTS, WEIGHT = 0x00100010, 0x00100030, 0x00100032, 0x00104000, 0x00101030


@pytest.mark.parametrize(
    "lines",
    [
        'PatientBirthDate = "Z"\n"Patient*" = "K"\n"(0010,xxxx)" = "X"\n"VR:DA" = "D"',
        '"VR:DA" = "D"\n"(0010,xxxx)" = "X"\n"Patient*" = "K"\n"(0010,0030)" = "Z"',
    ],
    ids=["one order", "another"],
)
def test_the_most_specific_rule_holds_in_any_order(lines):
    rules = profile(lines)
    assert rules.rule(BIRTH_DATE).action is Action.EMPTY
    assert rules.rule(BIRTH_TIME).action is Action.KEEP
    assert rules.rule(0x00102000).action is Action.REMOVE  # Medical Alerts
    assert rules.rule(0x00080022).action is Action.DUMMY  # Acquisition Date
    assert rules.rule(BIRTH_TIME).because == "site rule Patient*"


def test_of_two_patterns_of_a_kind_the_narrower_holds():
    rules = profile('"(0010,xxxx)" = "X"\n"(0010,003x)" = "K"\n"*Date*" = "X"\n"PatientBirthDate*" = "Z"')
    assert rules.rule(BIRTH_TIME).action is Action.KEEP
    assert rules.rule(BIRTH_DATE).action is Action.EMPTY


@pytest.mark.parametrize(
    "lines",
    [
        '"Patient*" = "X"\n"*Date" = "Z"',
        '"(00x0,0010)" = "X"\n"(0010,xxxx)" = "Z"',
        '"Patient*" = "X"\n"Patient**" = "Z"',
        '"VR:US" = "X"\n"VR:SS" = "D"',
    ],
)
def test_patterns_that_contradict_each_other_are_refused(lines):
    with pytest.raises(BadRequest, match="contradict each other") as refused:
        profile(lines)
    assert "name the attributes that both reach" in refused.value.remedy


def test_what_is_named_settles_a_contradiction():
    named = "\n".join(
        f'{keyword} = "D"' for keyword in ("PatientBirthDate", "PatientBirthDateInAlternativeCalendar")
    )
    assert (
        profile(f'"PatientBirth*" = "X"\n"*BirthDate" = "Z"\n{named}').rule(BIRTH_DATE).action is Action.DUMMY
    )


def test_two_that_agree_are_none():
    assert profile('"Patient*" = "X"\n"*Date" = "X"').rule(BIRTH_DATE).action is Action.REMOVE


REFUSED = {
    "nothing of that name": ('"Pacient*" = "X"', "reaches no attribute"),
    "no VR": ('"VR:XX" = "X"', "reaches no attribute"),
    "UIDs of texts": ('"VR:LT" = "U"', "reaches no attribute of which U"),
    "a value": ('"Patient*" = { action = "D", value = "x" }', "one value into many"),
    "what is said anew": ('"DeidentificationMethod*" = "K"', "reaches no attribute"),
    "pixels": ('"(7FE0,xxxx)" = "K"', "reaches no attribute"),
    "meta": ('"(0002,xxxx)" = "K"', "reaches no attribute"),
    "two spellings": ('"0010,XXXX" = "X"\n"(0010,xxxx)" = "X"', "already"),
    "no action": ('"Patient*" = "Q"', "is no action"),
    "many": ("\n".join(f'"Patient{"*" * at}" = "X"' for at in range(1, 202)), "more than 200 patterns"),
}


@pytest.mark.parametrize(("lines", "told"), REFUSED.values(), ids=REFUSED.keys())
def test_patterns_that_mean_nothing_are_refused(lines, told):
    with pytest.raises(BadRequest, match=told):
        profile(lines)


def test_no_pattern_touches_what_files_need_nor_codes():
    rules = profile('"xxxx,xxxx" = "X"')
    for tag in (0x00080005, 0x00080016, 0x00080018, 0x00280010, 0x00280100):
        assert rules.rule(tag).action is basic().rule(tag).action
    kept = profile('"xxxx,xxxx" = "K"')
    for tag in (0x00080104, 0x0040A160, 0x0040A730, 0x00020003, 0xFFFAFFFA):
        assert kept.rule(tag).action is basic().rule(tag).action


def test_all_of_a_repeating_group_is_meant_by_60xx():
    assert profile('"60xx,3000" = "K"').rule(0x60123000).action is Action.KEEP
    only = profile('"6002,3000" = "K"')
    assert only.rule(0x60023000).action is Action.KEEP
    assert only.rule(0x60003000).action is basic().rule(0x60003000).action


LINES = '"(0010,xxxx)" = "Z"\n"60xx,4000" = "X"\n"Patient*" = "K"\n"VR:LT" = "X"\nPatientSex = "K"'


def test_patterns_survive_being_written_out_and_are_in_the_digest():
    rules = profile(LINES)
    again = parse_profile(dump_profile(rules))
    assert again == rules
    assert again.digest == rules.digest
    digests = {rules.digest} | {
        profile(LINES.replace(one, other)).digest
        for one, other in (
            ('"Patient*"', '"Patien?*"'),
            ('"K"\n"VR', '"X"\n"VR'),
            ("VR:LT", "VR:ST"),
            ("(0010", "(0012"),
        )
    }
    assert len(digests) == 4 + 1 - 1  # "Patien?*" reaches the same, so it does the same


def test_what_a_pattern_does_is_told_in_words():
    said = list(in_words(profile('"(0010,00xx)" = "X"\n"PatientID" = "Z"\n"VR:LT" = "C"')))
    assert len(said) == 2
    assert said[0].startswith("VR:LT cleans ")
    assert said[1].startswith("(0010,00xx) removes ")


def test_a_pattern_that_keeps_is_warned_about_with_how_much_it_lets_through():
    (warning,) = profile('"Patient*" = "K"\nPatientName = "X"').warnings
    kept = int(warning.split(" keeps ")[1].split()[0])
    assert kept > 50
    assert "PatientID" in warning
    assert "PatientName" not in warning
    assert profile('"Patient*" = "X"').warnings == ()
    sex = parse_profile(
        'name = "x"\noptions = ["retain_patient_characteristics"]\n[attributes]\n"PatientSex*" = "K"'
    )
    assert "retain_patient_characteristics" in retained_by(0x00100040)
    assert not any("PatientSex," in one for one in sex.warnings)


def test_a_file_is_scrubbed_by_patterns(split, ct):
    parts = split(ct)
    rules = profile('"Patient*" = "X"\nPatientWeight = "K"\n"VR:SH" = "X"')
    made = scrub(parts.head, parts.tail, profile=rules, key=KEY, pixels=parts.facts)
    read = pydicom.dcmread(io.BytesIO(made.head), stop_before_pixels=True)
    assert "PatientName" not in read
    assert "PatientID" not in read
    assert "PatientWeight" in read
    assert not [
        each for each in read.iterall() if each.VR == "SH" and each.tag not in (0x00080100, 0x00080102)
    ]
    assert pydicom.dcmread(io.BytesIO(ct)).PatientWeight == read.PatientWeight


def test_a_pattern_that_keeps_believes_no_value(write):
    body = write.element(0x00180050, "DS", b"Smith ") + write.element(0x00180060, "PN", b"Smith^J ")
    body += write.element(0x00180088, "DS", b"5.0 ") + write.element(0x00185100, "CS", b"SMITH ")
    begun = begin(write.file(body), profile=profile('"(0018,xxxx)" = "K"'), key=KEY)
    assert b"mith" not in begun.head.lower()
    assert b"5.0 " in begun.head
