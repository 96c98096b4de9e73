"""The basic profile is Table E.1-1, and what the table leaves out."""

import pickle
import re
from dataclasses import fields, replace

import pytest
from dicomanonymizer.dicom_anonymization_databases import dicomfields_2026c as theirs
from pydicom._dicom_dict import DicomDictionary

from mdm_async.dicom.profile import (
    OPTIONS,
    Action,
    PixelRule,
    PrivateKey,
    Profile,
    Region,
    Rule,
    basic,
)
from mdm_async.dicom.profiles.conditions import Condition
from mdm_async.dicom.profiles.kinds import Kind
from mdm_async.dicom.profiles.patterns import Pattern
from mdm_async.dicom.profiles.precedence import ConditionalRules, Drop
from mdm_async.dicom.profiles.reviewed import reviewed
from mdm_async.dicom.profiles.table import rows

THEIR_CODES = {
    "D": theirs.D_TAGS,
    "Z": theirs.Z_TAGS,
    "X": theirs.X_TAGS,
    "U": theirs.U_TAGS,
    "Z/D": theirs.Z_D_TAGS,
    "X/Z": theirs.X_Z_TAGS,
    "X/D": theirs.X_D_TAGS,
    "X/Z/D": theirs.X_Z_D_TAGS,
    "X/Z/U*": theirs.X_Z_U_STAR_TAGS,
}


def test_the_table_is_that_of_dicom_anonymizer_but_for_its_edition():
    other = {
        (tag[0] << 16) + tag[1]: code for code, tags in THEIR_CODES.items() for tag in tags if len(tag) == 2
    }
    ours = {row.single: row.basic for row in rows() if row.single is not None}
    differences = {
        f"{tag:08X}": (ours.get(tag), other.get(tag))
        for tag in ours.keys() | other.keys()
        if ours.get(tag) != other.get(tag)
    }
    # Edition 2026c adds Display URI, which the profile removes already.
    assert differences == {"0040E012": (None, "X")}
    assert basic().rule(0x0040E012).action is Action.REMOVE


def test_every_row_is_about_one_attribute_or_about_groups():
    assert len(rows()) == 655
    assert [row.tag for row in rows() if row.single is None] == [
        "(50xx,xxxx)",
        "(60xx,4000)",
        "(60xx,3000)",
        "(gggg,eeee) where gggg is odd",
    ]


def test_every_uid_name_date_and_address_that_is_kept_has_been_looked_at():
    """A new edition of the dictionary brings new attributes: decide about each before it is kept."""
    kept = {
        f"{tag:08X}"
        for tag, entry in DicomDictionary.items()
        if entry[0] in {"UI", "UR", "PN", "DA", "DT", "TM"} and basic().rule(tag).action is Action.KEEP
    }
    classes = ["00080016", "0008001A", "0008001B", "00080062", "00081150", "0008115A", "30100052", "30100053"]
    syntaxes = ["0008040E", "00083002", "00340003", "04000010"]
    codes = ["0008010C", "00080117", "00080118", "00080120"]
    assert kept == {*classes, *syntaxes, *codes}


def test_rows_for_groups_are_removed():
    assert {row.basic for row in rows() if row.single is None} == {"X"}
    for tag in (0x50003000, 0x501E0010, 0x60003000, 0x601E4000, 0x60000022, 0x60021500, 0x60000010):
        assert basic().rule(tag).action is Action.REMOVE


@pytest.mark.parametrize(
    ("tag", "action", "because"),
    [
        (0x00100010, Action.EMPTY, "PS3.15 basic"),
        (0x00100020, Action.DUMMY, "PS3.15 basic"),  # Z/D
        (0x00080018, Action.UID, "PS3.15 basic"),
        (0x00081140, Action.UID, "PS3.15 basic"),  # X/Z/U*
        (0x00080022, Action.EMPTY, "PS3.15 basic"),  # X/Z
        (0x00080021, Action.DUMMY, "PS3.15 basic"),  # X/D
        (0x00080080, Action.DUMMY, "PS3.15 basic"),  # X/Z/D
        (0x00880200, Action.REMOVE, "PS3.15 basic"),  # Icon Image Sequence
        (0x04000561, Action.REMOVE, "PS3.15 basic"),  # Original Attributes Sequence
        (0x00080060, Action.KEEP, "by VR"),
        (0x00091001, Action.REMOVE, "PS3.15 basic"),  # private
        (0x000900FF, Action.REMOVE, "PS3.15 basic"),
        (0x50003000, Action.REMOVE, "PS3.15 basic"),
        (0x60023000, Action.REMOVE, "PS3.15 basic"),
        (0x60020022, Action.REMOVE, "reviewed: text of an overlay"),  # Overlay Description
        (0x60020010, Action.REMOVE, "whole group"),
        (0x4FFE0001, Action.REMOVE, "reviewed: digital signature, which would be wrong"),
        (0x00420010, Action.EMPTY, "reviewed: title of a document"),
        (0x00041511, Action.REMOVE, "whole group"),  # in the table too, but the group is removed
        (0x00020016, Action.REMOVE, "whole group"),
        (0x00100033, Action.REMOVE, f"reviewed: {reviewed()[0x00100033].reason}"),
        (0x00189999, Action.REMOVE, "not in the public dictionary"),
        (0x00180050, Action.KEEP, "by VR"),
    ],
)
def test_actions_and_what_says_so(tag, action, because):
    assert basic().rule(tag) == Rule(action, because)


def test_no_private_attribute_is_kept_without_an_option():
    assert not basic().private_kept
    assert basic().private_rule("GEMS_ACQU_01", 0x00191023) == (Rule(Action.REMOVE, "PS3.15 basic"), b"DS")
    assert basic().private_rule("ACME", 0x00191023) == (Rule(Action.REMOVE, "PS3.15 basic"), b"")


def test_the_basic_profile_is_said_by_its_code():
    assert basic().codes() == (("113100", "Basic Application Confidentiality Profile"),)
    assert (basic().name, basic().options, basic().project) == ("basic", frozenset(), None)
    assert basic().warnings == ()


REGION = Region(0, 0, 640, 40)
SEX = (0x00100040, Action.KEEP, None)
MR, CT = Condition(((0x00080060, ("MR",)),)), Condition(((0x00080060, ("CT",)),))
CHANGES = {
    "option": {"options": frozenset({"retain_uids"})},
    "option that keeps what another keeps already": {"options": frozenset({"retain_safe_private"})},
    "project": {"project": "other"},
    "burned-in": {"burned_in": "quarantine"},
    "documents": {"documents": "allow"},
    "site": {"site": (SEX,)},
    "another action": {"site": ((0x00100040, Action.REMOVE, None),)},
    "value": {"site": ((0x00100040, Action.DUMMY, "O"),)},
    "another value": {"site": ((0x00100040, Action.DUMMY, "M"),)},
    "private": {"site": ((PrivateKey("ACME", 0x19, 0x10), Action.KEEP, None),)},
    "another creator": {"site": ((PrivateKey("ACME 2", 0x19, 0x10), Action.KEEP, None),)},
    "pixels": {"pixel_rules": (PixelRule(((0x00080060, "US"),), (REGION,)),)},
    "another region": {"pixel_rules": (PixelRule(((0x00080060, "US"),), (Region(0, 0, 640, 41),)),)},
    "another device": {"pixel_rules": (PixelRule(((0x00080060, "CT"),), (REGION,)),)},
    "trust": {"pixel_rules": (PixelRule(((0x00080060, "US"),), trust=True),)},
    "outside": {"pixel_rules": (PixelRule(((0x00080060, "US"),), blank_outside="ultrasound regions"),)},
    "base": {"base": "ps3.15"},
    "another base": {"base": "keep-only"},
    "faces": {"faces": "quarantine"},
    "hook": {"faces": "hook", "face_hook": "deface"},
    "another hook": {"faces": "hook", "face_hook": "blur"},
    "condition": {"conditional": (ConditionalRules(MR, (SEX,)),)},
    "another condition": {"conditional": (ConditionalRules(CT, (SEX,)),)},
    "drop": {"drops": (Drop(MR, "no MR"),)},
    "another drop": {"drops": (Drop(CT, "no MR"),)},
    "added": {"added": ((0x00120020, "TRIAL"),)},
    "another added": {"added": ((0x00120020, "TRIAL 2"),)},
    "shift": {"shift": "weeks"},
    "unmapped": {"unmapped": "refuse"},
    "kind": {"kinds": (Kind("scout", MR),)},
    "another kind": {"kinds": (Kind("scout", CT),)},
    "term": {"terms": ((0x00080008, "ACME"),)},
    "edition": {"edition": "2024a"},
    "a date that the option keeps already": {
        "options": frozenset({"retain_device_identity"}),
        "site": ((0x00181200, Action.KEEP, None),),
    },
    "the option that keeps a date": {"options": frozenset({"retain_device_identity"})},
}


def test_every_change_of_what_comes_out_changes_the_digest():
    digests = {what: Profile("x", **change).digest for what, change in CHANGES.items()}
    assert all(re.fullmatch("[0-9a-f]{64}", digest) for digest in digests.values())
    assert len({*digests.values(), basic().digest}) == len(CHANGES) + 1


def test_every_field_is_tried_for_the_digest():
    tried = {field for change in CHANGES.values() for field in change}
    assert tried == {field.name for field in fields(Profile) if field.init} - {"name"}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_every_field_crosses_to_a_scrubbing_process(change):
    profile = Profile("x", **change)
    crossed = pickle.loads(pickle.dumps(profile))
    assert crossed == profile
    assert crossed.digest == profile.digest


def test_the_order_in_which_conditions_are_written_makes_no_difference():
    one = ConditionalRules(MR, ((0x00100040, Action.EMPTY, None),))
    other = ConditionalRules(CT, ((0x00100040, Action.REMOVE, None),))
    read = {0x00080060: {"MR", "CT"}}  # is there twice
    first, second = (Profile("x", conditional=order) for order in ((one, other), (other, one)))
    assert first.digest == second.digest
    assert first.given(read).rule(0x00100040) == second.given(read).rule(0x00100040)


def test_a_moved_date_is_said_only_where_one_is():
    moved = (Pattern.of("StudyDate*"), Action.SHIFT, None)
    assert Profile("x", site=(moved,)).dates == "MODIFIED"
    assert Profile("x", site=(moved, (0x00080020, Action.REMOVE, None))).dates == "REMOVED"


def test_the_name_alone_does_not_change_the_digest():
    assert replace(basic(), name="renamed").digest == basic().digest
    assert replace(basic(), name="renamed") != basic()


def test_a_profile_crosses_to_a_scrubbing_process():
    whole = Profile(
        "all",
        options=frozenset(OPTIONS),
        project="p",
        site=(SEX, (PrivateKey("ACME", 0x19, 0x10), Action.KEEP, None)),
        pixel_rules=(PixelRule(((0x00080060, "US"),), (REGION,)),),
    )
    for profile in (basic(), whole):
        crossed = pickle.loads(pickle.dumps(profile))
        assert crossed == profile
        assert crossed.digest == profile.digest
        assert all(crossed.rule(tag) == profile.rule(tag) for tag in (0x00100010, 0x00100040, 0x00080020))


def test_a_scrubbing_process_builds_the_rules_of_a_profile_once():
    sent = pickle.dumps(Profile("all", options=frozenset(OPTIONS)))
    assert pickle.loads(sent) is pickle.loads(sent)
    assert len(sent) < 1024


def test_a_site_rule_beats_the_table_and_options_but_not_what_is_always_removed():
    profile = Profile(
        "x",
        options=frozenset({"retain_uids"}),
        site=(
            (0x00020003, Action.KEEP, None),
            (0x00081030, Action.DUMMY, "Study"),
            (0x00100010, Action.KEEP, None),
            (0x00200052, Action.REMOVE, None),
        ),
    )
    assert profile.rule(0x00081030) == Rule(Action.DUMMY, "site rule", "Study")
    assert profile.rule(0x00100010) == Rule(Action.KEEP, "site rule")
    assert profile.rule(0x00200052) == Rule(Action.REMOVE, "site rule")
    assert profile.rule(0x00020003).action is Action.REMOVE


def test_documents_that_are_allowed_keep_their_payload():
    assert basic().rule(0x00420011).action is Action.DUMMY
    assert Profile("x", documents="allow").rule(0x00420011) == Rule(Action.KEEP, "documents allowed")


@pytest.mark.parametrize(
    ("profile", "warnings"),
    [
        (
            {"site": ((0x00100010, Action.KEEP, None),)},
            ["keeps PatientName (0010,0010), which identifies"],
        ),
        (
            {"site": (SEX,)},
            [
                "keeps PatientSex (0010,0040), which identifies unless under retain_patient_characteristics",
            ],
        ),
        ({"site": (SEX,), "options": frozenset({"retain_patient_characteristics"})}, []),
        ({"site": ((0x00080060, Action.KEEP, None),)}, []),
        ({"site": ((0x00100010, Action.DUMMY, "A"),)}, []),
        (
            {"site": ((0x60023000, Action.KEEP, None),)},
            ["keeps OverlayData (6002,3000), which identifies"],
        ),
        (
            {"site": ((PrivateKey("ACME 1.1", 0x19, 0x10), Action.KEEP, None),)},
            ["keeps (0019,xx10) of ACME 1.1, which the standard does not list as safe"],
        ),
        ({"site": ((PrivateKey("ELSCINT1", 0xE1, 0x21), Action.KEEP, None),)}, []),
        (
            {"site": ((PrivateKey("HOLOGIC, Inc.", 0x7E01, 0x12), Action.KEEP, None),)},
            ["keeps (7E01,xx12) of HOLOGIC, Inc., bytes into which nobody can look"],
        ),
        (
            {
                "added": (
                    (0x00100010, "A^B"),
                    (0x00100020, "{subject}"),
                    (0x00120030, "S"),
                    (0x00185100, "HFS"),
                )
            },
            ["adds PatientName (0010,0010), which identifies: whatever it says is in every image"],
        ),
        ({"documents": "allow"}, ["serves encapsulated documents with their payload, whatever it says"]),
        (
            {"pixel_rules": (PixelRule(((0x00080060, "*"),), trust=True),)},
            ["trusts every device to burn nothing into its pictures"],
        ),
        ({"pixel_rules": (PixelRule(((0x00080060, "CT*"),), trust=True),)}, []),
    ],
)
def test_what_lets_identity_through_is_said_in_words(profile, warnings):
    assert list(Profile("x", **profile).warnings) == warnings
