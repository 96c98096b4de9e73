"""Rules of some images only, and images that get no view."""

import io
import pickle

import pydicom
import pytest

from mdm_async.dicom.profile import Action, basic
from mdm_async.dicom.profiles.file import dump_profile, parse_profile
from mdm_async.dicom.profiles.in_words import in_words
from mdm_async.dicom.scrub import begin, scrub
from mdm_async.errors import BadRequest, ScrubRefused
from tests.dicom.conftest import KEY

RULES = """
name = "x"
[attributes]
PatientSize = "X"
[[rules]]
when = { Modality = "CT" }
attributes = { PatientWeight = "K", PatientSize = "K", "*Contrast*" = "X" }
[[rules]]
when = { Modality = "CT", Manufacturer = ["GE*", "ACME"] }
[rules.attributes]
PatientWeight = "Z"
[[rules]]
when = { Modality = ["MR", "PT"] }
attributes = { PatientWeight = "X" }
[[drop]]
when = { SeriesDescription = "*dose report*" }
because = "no dose reports"
[[drop]]
when = { ImageType = ["*SCREEN SAVE*", "*LOCALIZER*"], Modality = "CT" }
because = "no screen saves"
"""
MODALITY, MAKER, WEIGHT, SIZE = 0x00080060, 0x00080070, 0x00101030, 0x00101020
TYPE, SERIES = 0x00080008, 0x0008103E


def weight(readings):
    return parse_profile(RULES).given(readings).rule(WEIGHT).action


def test_the_narrower_condition_holds_and_a_condition_beats_none():
    usual = basic().rule(WEIGHT).action
    assert weight({}) is usual
    assert weight({MODALITY: {"CT"}}) is Action.KEEP
    assert weight({MODALITY: {"CT"}, MAKER: {"GE MEDICAL SYSTEMS"}}) is Action.EMPTY
    assert weight({MODALITY: {"PT"}}) is Action.REMOVE
    profile = parse_profile(RULES)
    assert profile.given({MODALITY: {"CT"}}).rule(SIZE).action is Action.KEEP
    assert profile.given({MODALITY: {"US"}}).rule(SIZE).action is Action.REMOVE


def test_of_two_readings_the_one_that_takes_more_away_counts():
    assert weight({MODALITY: {"CT", "US"}}) is basic().rule(WEIGHT).action
    assert weight({MODALITY: {"MR", "US"}}) is Action.REMOVE
    assert weight({MODALITY: {"CT", "MR"}}) is Action.REMOVE


def test_the_same_reading_gives_the_same_profile_so_that_its_steps_are_remembered():
    profile = parse_profile(RULES)
    assert profile.given({MODALITY: {"CT"}}) is profile.given({MODALITY: {"CT"}, SERIES: {"x"}})
    assert pickle.loads(pickle.dumps(profile)) == profile


def test_what_is_dropped_says_why():
    profile = parse_profile(RULES)
    assert profile.dropped({SERIES: {"Dose Report 1"}}) == ["no dose reports"]
    assert profile.dropped({SERIES: {"thorax", "DOSE REPORT"}}) == ["no dose reports"]
    assert profile.dropped({TYPE: {"DERIVED\\SECONDARY\\SCREEN SAVE"}}) == []
    assert profile.dropped({TYPE: {"DERIVED\\SECONDARY\\SCREEN SAVE"}, MODALITY: {"CT"}}) == [
        "no screen saves"
    ]


def test_conditions_survive_being_written_out_and_are_in_the_digest():
    profile = parse_profile(RULES)
    again = parse_profile(dump_profile(profile))
    assert again == profile
    assert again.digest == profile.digest
    for one, other in (
        ('"CT" }\nattr', '"US" }\nattr'),
        ('Weight = "K"', 'Weight = "D"'),
        ("*dose report*", "*report*"),
        ("no dose reports", "no reports"),
        ('["MR", "PT"]', '["MR"]'),
    ):
        assert one in RULES
        assert parse_profile(RULES.replace(one, other)).digest != profile.digest


def test_the_order_of_patterns_and_tables_changes_nothing():
    start, *tables = RULES.split("[[rules]]")
    *rules, last = tables
    last, *drops = last.split("[[drop]]")
    other = start + "".join(f"[[drop]]{each}\n" for each in drops)
    other += "".join(f"[[rules]]{each}\n" for each in (last, *rules))
    other = other.replace('["MR", "PT"]', '["PT", "MR"]')
    assert parse_profile(other).digest == parse_profile(RULES).digest


def test_conditions_are_told_in_words_and_warned_about():
    said = list(in_words(parse_profile(RULES)))
    assert "of images with Modality CT: 3 rules more" in said
    assert any(line.startswith("  *Contrast* removes ") for line in said)
    assert "of images with Modality CT, Manufacturer ACME or GE*: 1 rule more" in said
    assert "drops images with SeriesDescription *dose report*: no dose reports" in said
    (size, weight) = parse_profile(RULES).warnings
    assert size.startswith("keeps PatientSize (0010,1020), which identifies")
    assert weight.endswith("(of images with Modality CT)")


def rules(lines: str) -> str:
    return f'name = "x"\n[[rules]]\n{lines}\n'


def drop(lines: str) -> str:
    return f'name = "x"\n[[drop]]\n{lines}\n'


CT = 'when = { Modality = "CT" }\n'
REFUSED = {
    "no list": ('name = "x"\nrules = 1', "rules", "no list of tables"),
    "no tables": ('name = "x"\ndrop = [1]', "drop[0]", "no table"),
    "other key": (rules(CT + "attribute = {}"), "rules[0].attribute", "not known"),
    "no when": (rules('attributes = { PatientSex = "K" }'), "rules[0].when", "which images"),
    "empty when": (drop('when = {}\nbecause = "x"'), "drop[0].when", "which images"),
    "no attributes": (rules(CT), "rules[0].attributes", "no rule"),
    "nothing in them": (rules(CT + "attributes = {}"), "rules[0].attributes", "no rule"),
    "a patient": (
        drop('when = { PatientName = "A*" }\nbecause = "x"'),
        "when.PatientName",
        "cannot be asked",
    ),
    "no pattern": (drop('when = { Modality = [] }\nbecause = "x"'), "when.Modality", "no pattern"),
    "no text": (drop('when = { Modality = ["CT", 1] }\nbecause = "x"'), "when.Modality", "no pattern"),
    "no reason": (drop(CT), "drop[0].because", "no reason"),
    "a long reason": (drop(CT + f'because = "{"x" * 65}"'), "drop[0].because", "no reason"),
    "no action": (
        rules(CT + 'attributes = { PatientSex = "Q" }'),
        "rules[0].attributes.PatientSex",
        "no action",
    ),
    "many": ('name = "x"\n' + f'[[drop]]\n{CT}because = "x"\n' * 65, "drop", "more than 64"),
    "two that hold at once": (
        rules(CT + 'attributes = { PatientSex = "K" }\n[[rules]]\nwhen = { Rows = "5*" }\n')
        + 'attributes = { PatientSex = "X" }',
        "attributes",
        "PatientSex and PatientSex contradict",
    ),
    "patterns of two tables": (
        rules(CT + 'attributes = { "Patient*" = "K" }\n[attributes]\n"*Date" = "X"'),
        "attributes",
        "contradict",
    ),
}


@pytest.mark.parametrize(("text", "key", "what"), REFUSED.values(), ids=REFUSED.keys())
def test_what_is_not_understood_is_refused(text, key, what):
    with pytest.raises(BadRequest) as refused:
        parse_profile(text)
    where, _, said = refused.value.detail.partition(": ")
    assert key in where
    assert what in said
    assert refused.value.remedy


def scrubbed(parts, text, tail=b""):
    profile = parse_profile(text)
    made = scrub(parts.head, tail or parts.tail, profile=profile, key=KEY, pixels=parts.facts)
    return pydicom.dcmread(io.BytesIO(made.head), stop_before_pixels=True)


def test_a_file_is_scrubbed_by_the_rules_of_its_kind(split, ct):
    parts = split(ct)
    kept = rules(CT + 'attributes = { PatientWeight = "K" }')
    assert scrubbed(parts, kept).PatientWeight == pydicom.dcmread(io.BytesIO(ct)).PatientWeight
    other = scrubbed(parts, kept.replace('"CT"', '"MR"'))
    assert other.get("PatientWeight") == scrubbed(parts, 'name = "x"').get("PatientWeight")


def test_a_second_value_further_on_is_a_reading_too(split, write):
    body = write.element(MODALITY, "CS", b"CT") + write.element(WEIGHT, "DS", b"70")
    kept = rules(CT + 'attributes = { PatientWeight = "K" }')
    for again, weighs in ((b"", True), (write.element(MODALITY, "CS", b"MR"), False)):
        begun = begin(write.file(body + again), profile=parse_profile(kept), key=KEY)
        assert (b"DS\x02\x0070" in begun.head) is weighs


def test_a_dropped_image_is_refused_with_the_reason(split, ct):
    with pytest.raises(ScrubRefused, match="the profile drops it: no CT"):
        scrubbed(split(ct), drop(CT + 'because = "no CT"'))


@pytest.mark.parametrize(
    "text", [drop(CT + 'because = "x"'), rules(CT + 'attributes = { PatientSex = "X" }')]
)
def test_what_conditions_ask_for_may_not_come_after_the_pixels(text, split, ct, write):
    late = write.element(MODALITY, "CS", b"MR")
    with pytest.raises(ScrubRefused, match="what comes after the pixels"):
        scrubbed(split(ct), text, late)
