"""The reviewed attributes: the file is complete, true and sorted, so that what it does not name can be denied."""

import csv
from importlib import resources

import pytest
from pydicom.datadict import DicomDictionary, RepeatersDictionary

from mdm_async.dicom.profiles.attribute_rules import Action
from mdm_async.dicom.profiles.reviewed import first_of, reviewed
from mdm_async.dicom.profiles.safe_private import KEPT_TEXTS
from mdm_async.dicom.profiles.table import OPTIONS, rows
from mdm_async.dicom.values.kept_text import NUMBERS, names
from tests.dicom.write_what_stays import BY_OTHER_RULES, PAGE, page

NUMERIC = {"AT", "DS", "FD", "FL", "IS", "SL", "SS", "SV", "UL", "US", "UV", "US or SS"}
DECIDED_BY_VR = NUMERIC | {"CS", "SQ", "NONE"}
REMOVED_GROUPS = ("(0000", "(0002", "(0004", "(0006", "(50xx")
TEXT = {"AE", "LO", "LT", "PN", "SH", "ST", "UC", "UR", "UT"}


def printed(tag: int | str) -> str:
    digits = f"{tag:08X}" if isinstance(tag, int) else "".join(c if c == "x" else c.upper() for c in tag)
    return f"({digits[:4]},{digits[4:]})"


DICTIONARY = {
    printed(tag): (entry[0], entry[4])
    for of in (DicomDictionary, RepeatersDictionary)
    for tag, entry in of.items()
}
STANDARD = {row.tag for row in rows()}


@pytest.fixture(scope="module")
def lines() -> list[dict[str, str]]:
    table = resources.files("mdm_async.dicom.tables") / "attributes.csv"
    return list(csv.DictReader(table.read_text(encoding="ascii").splitlines()))


def test_every_attribute_that_can_hold_text_or_bytes_is_reviewed(lines):
    """A new edition of the dictionary fails here, with the list of what is to be reviewed."""
    reviewed_tags = {line["tag"] for line in lines}
    missing = {
        tag: keyword
        for tag, (vr, keyword) in DICTIONARY.items()
        if vr not in DECIDED_BY_VR
        and tag not in STANDARD | reviewed_tags
        and not tag.startswith(REMOVED_GROUPS)
    }
    assert missing == {}


def test_rows_are_sorted_and_none_is_in_the_table_of_the_standard(lines):
    tags = [line["tag"] for line in lines]
    assert tags == sorted(tags, key=str.lower)
    assert len(set(tags)) == len(tags)
    assert STANDARD.isdisjoint(tags)


def test_keywords_and_vrs_are_those_of_the_dictionary(lines):
    wrong = [line for line in lines if DICTIONARY.get(line["tag"]) != (line["vr"], line["keyword"])]
    assert wrong == []


def test_every_row_says_what_and_why(lines):
    actions, letters = {action.value for action in Action}, {"C", "K", "S"}
    for line in lines:
        assert line["action"] in actions
        assert len(line["reason"]) >= 8
        for option, letter in (pair.split("=") for pair in line["under"].split()):
            assert option in OPTIONS
            assert letter in letters


def test_whatever_is_kept_has_something_to_pass(lines):
    known = names() | {NUMBERS} | BY_OTHER_RULES
    for line in lines:
        if line["action"] == "K":
            assert line["keeps"] in known, line
            assert (line["keeps"] == NUMBERS) == (
                line["vr"][:2] in ("OB", "OD", "OF", "OL", "OV", "OW", "US")
            ) or (line["keeps"] in BY_OTHER_RULES)
        else:
            assert line["keeps"] == "", line


def test_every_pattern_and_vocabulary_is_used(lines):
    assert names() <= {line["keeps"] for line in lines} | set(KEPT_TEXTS.values())


@pytest.mark.parametrize(
    ("tag", "first"),
    [
        (0x60020022, 0x60000022),
        (0x50FE0005, 0x50000005),
        (0x7F020010, 0x7F000010),
        (0x7FE00010, 0x7FE00010),
        (0x00203117, 0x00203100),
        (0x00280412, 0x00280402),
        (0x00280402, 0x00280402),
        (0x00280403, 0x00280403),
        (0x00100010, 0x00100010),
    ],
)
def test_repeating_groups_and_elements_stand_under_their_first(tag, first):
    assert first_of(tag) == first


def test_rows_are_found_by_tag():
    assert reviewed()[0x00100033].action == "X"
    assert reviewed()[0x00189423].under == {"clean_descriptors": "C"}
    assert reviewed()[first_of(0x60040022)].keyword == "OverlayDescription"
    assert reviewed()[0x04000500 | 0x20].keyword == "EncryptedContent"


def test_the_document_on_what_stays_says_what_the_tables_say():
    """Run tests/dicom/write_what_stays.py after a change of theirs."""
    assert PAGE.read_text(encoding="utf-8") == page()


def test_the_document_explains_every_pattern_and_vocabulary():
    assert all(f"| `{name}` | " in page() for name in names())
