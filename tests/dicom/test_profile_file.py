"""Profile files: what is written is what is meant, and everything else is refused with what to write instead."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mdm_async.dicom.profile import (
    OPTIONS,
    PIXEL_RULE_ATTRIBUTES,
    Action,
    PixelRule,
    PrivateKey,
    Profile,
    Region,
    Rule,
    basic,
)
from mdm_async.dicom.profiles.conditions import CONDITION_ATTRIBUTES, Condition
from mdm_async.dicom.profiles.file import dump_profile, parse_profile
from mdm_async.dicom.profiles.in_words import in_words
from mdm_async.dicom.profiles.keywords import tag_of
from mdm_async.dicom.profiles.kinds import Kind
from mdm_async.dicom.profiles.patterns import Pattern
from mdm_async.dicom.profiles.precedence import ConditionalRules, Drop
from mdm_async.errors import BadRequest

CARDIO = """
name = "cardio"
base = "basic"
options = ["retain_longitudinal_modified_dates", "clean_descriptors"]
project = "cardio-2026"
burned_in = "quarantine"
documents = "allow"
[attributes]
PatientSex = "K"
"0008,1030" = { action = "D", value = "Study" }
"0019,xx10 ACME 1.1" = "K"
[[pixels]]
when = { Modality = "US", Manufacturer = "ACME*" }
blank = [[0, 0, 640, 40], [0, 440, 640, 40]]
[[pixels]]
when = { ManufacturerModelName = "Plain 3" }
trust = true
[[pixels]]
when = { Modality = "US" }
blank_outside = "ultrasound regions"
[[kinds]]
name = "worksheet"
when = { SeriesDescription = "*work sheet*", Modality = "US" }
"""


def test_a_profile_is_what_its_file_says():
    profile = parse_profile(CARDIO)
    assert profile == Profile(
        name="cardio",
        base="basic",
        options=frozenset({"retain_longitudinal_modified_dates", "clean_descriptors"}),
        project="cardio-2026",
        burned_in="quarantine",
        documents="allow",
        site=(
            (0x00081030, Action.DUMMY, "Study"),
            (0x00100040, Action.KEEP, None),
            (PrivateKey("ACME 1.1", 0x19, 0x10), Action.KEEP, None),
        ),
        pixel_rules=(
            PixelRule(
                ((0x00080060, "US"), (0x00080070, "ACME*")), (Region(0, 0, 640, 40), Region(0, 440, 640, 40))
            ),
            PixelRule(((0x00081090, "Plain 3"),), trust=True),
            PixelRule(((0x00080060, "US"),), blank_outside="ultrasound regions"),
        ),
        kinds=(Kind("worksheet", Condition(((0x00080060, ("US",)), (0x0008103E, ("*work sheet*",))))),),
    )
    assert profile.rule(0x00081030) == Rule(Action.DUMMY, "site rule", "Study")
    assert profile.private_rule("ACME 1.1", 0x00194210) == (Rule(Action.KEEP, "site rule"), b"")


def test_what_pixels_and_kinds_are_about_is_told_in_words():
    said = list(in_words(parse_profile(CARDIO + "\n")))
    assert "blanks what lies outside of the ultrasound regions of images with Modality US" in said
    kind = "refuses worksheet, images with Modality US, SeriesDescription *work sheet*"
    assert f"{kind}, whatever Burned In Annotation says" in said
    assert "slices of heads wait in quarantine" in in_words(Profile("p", faces="quarantine"))
    hooked = Profile("p", faces="hook", face_hook="deface")
    assert "slices of heads are given to the server's hook 'deface'" in in_words(hooked)


def test_a_name_is_enough():
    profile = parse_profile('name = "plain"')
    assert (profile.project, profile.burned_in, profile.documents) == ("plain", "refuse", "refuse")
    assert all(profile.rule(tag) == basic().rule(tag) for tag in (0x00100010, 0x00080018, 0x00080060))


def test_comments_order_and_another_name_do_not_change_the_digest():
    same = parse_profile(
        """
        name = "heart" # the same study
        documents = "allow"
        burned_in = "quarantine"
        project = "cardio-2026"
        options = ["clean_descriptors", "retain_longitudinal_modified_dates"]
        pixels = [
          { when = { Manufacturer = "ACME*", Modality = "US" }, blank = [[0, 0, 640, 40], [0, 440, 640, 40]] },
          { trust = true, when = { ManufacturerModelName = "Plain 3" } },
          { blank_outside = "ultrasound regions", when = { Modality = "US" } },
        ]
        attributes."0019,xx10 ACME 1.1" = { action = "K" }
        attributes.StudyDescription = { value = "Study", action = "D" }
        attributes."0010,0040" = "K"
        kinds = [{ when = { SeriesDescription = "*work sheet*", Modality = "US" }, name = "worksheet" }]
        """
    )
    assert same.digest == parse_profile(CARDIO).digest


def test_the_pixel_rules_attributes_are_called_by_their_keywords():
    assert {tag: tag_of(keyword) for tag, keyword in PIXEL_RULE_ATTRIBUTES.items()} == {
        tag: tag for tag in PIXEL_RULE_ATTRIBUTES
    }


def test_what_is_written_out_is_read_as_the_same_profile():
    assert parse_profile(dump_profile(parse_profile(CARDIO))) == parse_profile(CARDIO)
    assert dump_profile(basic()).startswith('name = "basic"\nbase = "basic"\noptions = []\nburned_in')


printable = st.text(
    st.characters(categories=["L", "N", "P", "S"], include_characters=" "), min_size=1, max_size=30
).filter(lambda text: text.strip() and text.isprintable())


ascii_word = st.text("abcXYZ019 ,.'\"#=[]{}()/-", min_size=1, max_size=16).filter(
    lambda text: text == text.strip()
)


public_rules = st.dictionaries(
    st.sampled_from([0x00100010, 0x00100040, 0x00081030, 0x00184000, 0x60023000, 0x00101010]),
    st.sampled_from([Action.KEEP, Action.REMOVE, Action.EMPTY, Action.DUMMY]).map(
        lambda action: (action, None)
    ),
) | st.dictionaries(
    st.sampled_from([0x00081030, 0x00184000]), ascii_word.map(lambda value: (Action.DUMMY, value))
)


private_rules = st.dictionaries(
    st.builds(PrivateKey, ascii_word, st.sampled_from([0x9, 0x19, 0x7E01]), st.integers(0, 255)),
    st.sampled_from([Action.KEEP, Action.REMOVE, Action.EMPTY]).map(lambda action: (action, None)),
    max_size=3,
)


regions = st.builds(
    Region, st.integers(0, 65535), st.integers(0, 65535), st.integers(1, 65535), st.integers(1, 65535)
)


conditions = st.dictionaries(st.sampled_from(sorted(PIXEL_RULE_ATTRIBUTES)), printable, min_size=1).map(
    lambda when: tuple(sorted(when.items()))
)


pattern_rules = st.dictionaries(
    st.sampled_from(["Patient*", "VR:LT", "(0010,xxxx)", "60xx,3000", "Contrast*"]).map(Pattern.of),
    st.sampled_from([Action.DUMMY, Action.REMOVE, Action.EMPTY]).map(lambda action: (action, None)),
    max_size=3,
)


sites = st.builds(
    lambda *tables: tuple((of, *rule) for rules in tables for of, rule in sorted(rules.items())),
    public_rules,
    private_rules,
    pattern_rules,
)


whens = st.dictionaries(
    st.sampled_from(sorted(CONDITION_ATTRIBUTES)),
    st.sampled_from([("CT",), ("*", "x'y"), ('"', "ä\\b")]),
    min_size=1,
    max_size=2,
).map(lambda asks: Condition(tuple(sorted(asks.items()))))


pixel_rules = st.builds(PixelRule, conditions, st.lists(regions, min_size=1).map(tuple)) | st.builds(
    PixelRule, conditions, trust=st.just(True)
)


profiles = st.builds(
    Profile,
    name=st.from_regex("[a-z][a-z0-9_-]{0,62}", fullmatch=True).filter(
        lambda name: name not in ("identified", "basic")
    ),
    options=st.frozensets(st.sampled_from([o for o in OPTIONS if o != "retain_longitudinal_full_dates"])),
    project=st.from_regex("[a-z][a-z0-9_-]{0,62}", fullmatch=True),
    burned_in=st.sampled_from(["refuse", "quarantine"]),
    documents=st.sampled_from(["refuse", "quarantine", "allow"]),
    site=sites,
    conditional=st.just(())
    | st.builds(ConditionalRules, whens, sites.filter(bool)).map(lambda rules: (rules,)),
    drops=st.just(()) | st.builds(Drop, whens, st.just('no "dose" reports')).map(lambda drop: (drop,)),
    pixel_rules=st.lists(pixel_rules, max_size=3).map(tuple),
)


@given(profiles)
def test_every_profile_survives_being_written_out(profile):
    read = parse_profile(dump_profile(profile))
    assert read == profile
    assert read.digest == profile.digest


@given(st.text() | st.binary().map(lambda data: data.decode("latin-1")))
def test_any_text_is_a_profile_or_refused(text):
    with pytest.raises(BadRequest):
        parse_profile(text)
