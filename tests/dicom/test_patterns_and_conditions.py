"""What patterns reach, and when conditions hold."""

import pytest

from mdm_async.dicom.profiles.conditions import CONDITION_ATTRIBUTES, Condition
from mdm_async.dicom.profiles.keywords import tag_of
from mdm_async.dicom.profiles.patterns import Kind, Pattern


@pytest.mark.parametrize(
    ("key", "kind", "shown"),
    [
        ("(0010,xxxx)", Kind.TAG, "(0010,xxxx)"),
        ("0010,1XxX", Kind.TAG, "(0010,1xxx)"),
        ("60xx,3000", Kind.TAG, "(60xx,3000)"),
        ("VR:LT", Kind.VR, "VR:LT"),
        ("Patient*", Kind.KEYWORD, "Patient*"),
        ("*Date?ime", Kind.KEYWORD, "*Date?ime"),
    ],
)
def test_a_key_is_a_pattern_of_its_kind(key, kind, shown):
    pattern = Pattern.of(key)
    assert pattern is not None
    assert (pattern.kind, str(pattern)) == (kind, shown)
    assert Pattern.of(str(pattern)) == pattern


@pytest.mark.parametrize("key", ["PatientName", "0010,0010", "VR:lt", "VR:", "0019,xx10 ACME", "(0010)", ""])
def test_other_keys_are_none(key):
    assert Pattern.of(key) is None


@pytest.mark.parametrize(
    ("key", "reached", "not_reached"),
    [
        ("(0010,xxxx)", [0x00100010, 0x00102000], [0x00080020, 0x00120010]),
        ("(0010,00xx)", [0x00100010], [0x00101010]),
        ("60xx,3000", [0x60003000], [0x60020010, 0x50003000]),
        ("6002,xxxx", [0x60023000, 0x60020010], [0x60003000]),
        ("VR:LT", [0x00104000], [0x00100010]),
        ("VR:OW", [0x60003000], [0x00100010]),
        ("Patient*", [0x00100010, 0x00200020], [0x00101000]),
        ("*Date", [0x00080020, 0x00100030], [0x0008002A]),
        ("CurveD*", [0x50003000, 0x50000005], [0x60003000]),
    ],
)
def test_a_pattern_reaches_what_it_says(key, reached, not_reached):
    reach = Pattern.of(key).reach
    assert set(reached) <= reach
    assert not set(not_reached) & reach


def test_conditions_ask_for_attributes_by_their_keywords():
    assert {tag: tag_of(keyword) for tag, keyword in CONDITION_ATTRIBUTES.items()} == {
        tag: tag for tag in CONDITION_ATTRIBUTES
    }


MODALITY, TYPE = 0x00080060, 0x00080008
MR = Condition(((MODALITY, ("MR",)),))
SCREENS = Condition(((TYPE, ("*screen save*", "*LOCALIZER*")), (MODALITY, ("MR",))))


@pytest.mark.parametrize(
    ("readings", "for_all", "for_any"),
    [
        ({MODALITY: {"MR"}}, True, True),
        ({MODALITY: {"mr"}}, True, True),
        ({MODALITY: {"CT"}}, False, False),
        ({MODALITY: {"MR", "CT"}}, False, True),
        ({}, False, False),
    ],
)
def test_what_keeps_needs_every_reading_and_what_removes_one(readings, for_all, for_any):
    assert MR.holds(readings, letting_through=True) is for_all
    assert MR.holds(readings, letting_through=False) is for_any


def test_one_of_several_patterns_is_enough_and_every_attribute_counts():
    assert SCREENS.holds({TYPE: {"DERIVED\\SECONDARY\\SCREEN SAVE"}, MODALITY: {"MR"}}, letting_through=True)
    assert SCREENS.holds(
        {TYPE: {"ORIGINAL\\PRIMARY\\LOCALIZER"}, MODALITY: {"MR", "CT"}}, letting_through=False
    )
    assert not SCREENS.holds({TYPE: {"ORIGINAL\\PRIMARY"}, MODALITY: {"MR"}}, letting_through=False)


def test_conditions_may_be_narrower_or_exclude_each_other():
    ct = Condition(((MODALITY, ("CT", "PT")),))
    wild = Condition(((MODALITY, ("C*",)),))
    assert SCREENS.excludes(ct)
    assert not wild.excludes(ct)
    assert not MR.excludes(Condition(((MODALITY, ("CT", "mr")),)))
    narrow = Condition((*MR.asks, (0x00080070, ("ACME*",))))
    assert narrow.is_narrower_than(MR)
    assert not MR.is_narrower_than(narrow)
    assert not MR.is_narrower_than(MR)
