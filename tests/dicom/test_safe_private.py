"""Safe private attributes: those of PS3.15 Table E.3.10-1, by creator and element, wherever the block lies."""

import csv
from collections import Counter

import pytest

from mdm_async.dicom.profile import Action, Profile, Rule
from mdm_async.dicom.profiles.safe_private import KEPT_TEXTS, PrivateKey, private_key, safe_private
from mdm_async.dicom.profiles.table import lines

SAFE = Profile("x", options=frozenset({"retain_safe_private"}))
WITH_UIDS = Profile("x", options=frozenset({"retain_safe_private", "retain_uids"}))
KEPT = Rule(Action.KEEP, "option retain_safe_private")
REMOVED = Rule(Action.REMOVE, "PS3.15 basic")


def printed_rows():
    return list(csv.DictReader(lines("e3-10-1-safe-private")))


def found(row) -> tuple[str, int]:
    """(creator, the element's tag in a block that some file reserved)."""
    group, element = row["element"][1:5], row["element"][8:10]
    return row["private_creator"], int(f"{group}42{element}", 16)


def test_every_row_of_the_table_is_known_by_its_creator():
    assert len(printed_rows()) == len(safe_private()) == 479
    assert all(private_key(*found(row)) in safe_private() for row in printed_rows())


def test_each_row_is_kept_but_for_bytes_nobody_can_look_into_and_uids_and_texts_are_cleaned():
    actions = Counter()
    for row in printed_rows():
        rule, vr = SAFE.private_rule(*found(row))
        expected = {"UI": Action.UID, "OB": Action.REMOVE, "OW": Action.REMOVE}
        expected |= {"OW/OB": Action.REMOVE, "": Action.REMOVE}
        expected |= dict.fromkeys(("LO", "SH", "ST", "LT"), Action.CLEAN)
        if private_key(*found(row)) in KEPT_TEXTS:
            assert rule.keeps
            expected = {}
        assert rule.action is expected.get(row["vr"], Action.KEEP), row
        assert vr.decode() == (row["vr"] if len(row["vr"]) == 2 else "")
        actions[rule.action] += 1
    assert actions == {Action.KEEP: 408, Action.CLEAN: 39, Action.UID: 7, Action.REMOVE: 25}


@pytest.mark.parametrize("block", [0x10, 0x11, 0xFF])
def test_the_number_of_the_block_means_nothing(block):
    assert SAFE.private_rule("GEMS_ACQU_01", 0x00190023 | block << 8) == (KEPT, b"DS")


@pytest.mark.parametrize("creator", ["GEMS_ACQU_01", "GEMS_ACQU_01 ", " GEMS_ACQU_01", "GEMS_ACQU_01\0"])
def test_padding_of_the_creator_means_nothing(creator):
    assert SAFE.private_rule(creator, 0x00191023) == (KEPT, b"DS")


@pytest.mark.parametrize(
    ("creator", "tag"),
    [
        ("ACME", 0x00191023),  # a listed element of another creator
        ("gems_acqu_01", 0x00191023),
        ("", 0x00191023),
        ("GEMS_ACQU_01", 0x00191022),  # an element that is not listed
        ("GEMS_ACQU_01", 0x00211023),  # another group
    ],
)
def test_what_the_table_does_not_list_is_removed(creator, tag):
    assert SAFE.private_rule(creator, tag) == (REMOVED, b"")


def test_uids_stay_only_with_the_option_for_uids():
    assert SAFE.private_rule("NQHeader", 0x00991002)[0].action is Action.UID
    assert WITH_UIDS.private_rule("NQHeader", 0x00991002)[0] == KEPT


def test_sequences_are_listed_as_such():
    assert SAFE.private_rule("Philips Imaging DD 001", 0x2001105F) == (KEPT, b"SQ")


def test_private_attributes_are_kept_by_the_option_or_by_the_site():
    assert SAFE.private_kept
    acme = PrivateKey("ACME", 0x19, 0x23)
    assert Profile("x", site=((acme, Action.KEEP, None),)).private_kept
    assert not Profile("x", site=((acme, Action.REMOVE, None),)).private_kept
    assert not Profile("x", options=frozenset({"retain_uids"})).private_kept


def test_a_site_rule_beats_the_list():
    listed = PrivateKey("GEMS_ACQU_01", 0x19, 0x23)
    profile = Profile("x", options=SAFE.options, site=((listed, Action.REMOVE, None),))
    assert profile.private_rule("GEMS_ACQU_01", 0x00191023) == (Rule(Action.REMOVE, "site rule"), b"DS")
    assert profile.private_rule("GEMS_ACQU_01", 0x00191024) == (KEPT, b"DS")


def test_private_elements_are_not_asked_for_without_their_creator():
    assert SAFE.rule(0x00191023) == REMOVED
