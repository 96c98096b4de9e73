"""The basic profile is Table E.1-1, and what the table leaves out."""

import pickle
import re

import pytest
from dicomanonymizer.dicom_anonymization_databases import dicomfields_2026c as theirs
from pydicom._dicom_dict import DicomDictionary

from mdm_async.dicom.profile import Action, Profile, basic, basic_column

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


def single_rows() -> dict[int, str]:
    return {
        int(tag[1:5] + tag[6:10], 16): code
        for tag, code in basic_column()
        if re.fullmatch(r"\([0-9A-F]{4},[0-9A-F]{4}\)", tag)
    }


def test_the_table_is_that_of_dicom_anonymizer_but_for_its_edition():
    other = {
        (tag[0] << 16) + tag[1]: code for code, tags in THEIR_CODES.items() for tag in tags if len(tag) == 2
    }
    ours = single_rows()
    differences = {
        f"{tag:08X}": (ours.get(tag), other.get(tag))
        for tag in ours.keys() | other.keys()
        if ours.get(tag) != other.get(tag)
    }
    # Edition 2026c adds Display URI, which the profile removes already.
    assert differences == {"0040E012": (None, "X")}
    assert basic().action(0x0040E012) is Action.REMOVE


def test_every_uid_name_date_and_address_that_is_kept_has_been_looked_at():
    """A new edition of the dictionary brings new attributes: decide about each before it is kept."""
    kept = {
        f"{tag:08X}"
        for tag, entry in DicomDictionary.items()
        if entry[0] in {"UI", "UR", "PN", "DA", "DT", "TM"} and basic().action(tag) is Action.KEEP
    }
    classes = ["00080016", "0008001A", "0008001B", "00080062", "00081150", "0008115A", "30100052", "30100053"]
    syntaxes = ["0008040E", "00083002", "00340003", "04000010", "04000510"]
    codes = ["0008010C", "0008010E", "00080117", "00080118", "00080120", "00089123"]
    inside_the_file = ["00687005"]
    assert kept == {*classes, *syntaxes, *codes, *inside_the_file}


def test_rows_for_groups():
    rows = {tag: code for tag, code in basic_column() if "xx" in tag or "odd" in tag}
    assert set(rows.values()) == {"X"}
    for tag in (0x50003000, 0x501E0010, 0x60003000, 0x601E4000, 0x60000022, 0x60021500, 0x60000010):
        assert basic().action(tag) is Action.REMOVE


@pytest.mark.parametrize(
    ("tag", "action"),
    [
        (0x00100010, Action.EMPTY),
        (0x00100020, Action.DUMMY),  # Z/D
        (0x00080018, Action.UID),
        (0x00081140, Action.UID),  # X/Z/U*
        (0x00080022, Action.EMPTY),  # X/Z
        (0x00080021, Action.DUMMY),  # X/D
        (0x00080080, Action.DUMMY),  # X/Z/D
        (0x00880200, Action.REMOVE),  # Icon Image Sequence
        (0x04000561, Action.REMOVE),  # Original Attributes Sequence
        (0x00080060, Action.KEEP),
        (0x00091001, Action.REMOVE),  # private
        (0x000900FF, Action.REMOVE),
        (0x4FFE0001, Action.REMOVE),
        (0x00420010, Action.EMPTY),
        (0x00041511, Action.REMOVE),
        (0x00020016, Action.REMOVE),
    ],
)
def test_actions(tag, action):
    assert basic().action(tag) is action


def test_the_digest_stands_for_the_rules_and_nothing_else():
    profile = basic()
    assert re.fullmatch("[0-9a-f]{64}", profile.digest)
    same = Profile("renamed", "2025e", dict(profile.single), dict(profile.groups), dict(profile.repeating))
    assert same.digest == profile.digest
    other = Profile(
        "x", "2025e", {**profile.single, 0x00080060: Action.REMOVE}, profile.groups, profile.repeating
    )
    assert other.digest != profile.digest


def test_a_profile_crosses_to_a_scrubbing_process():
    assert pickle.loads(pickle.dumps(basic())) == basic()
