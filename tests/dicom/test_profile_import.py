"""Rules of other programs as profiles: what is said is said exactly, and what cannot be is listed."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mdm_async.dicom.profile import PixelRule, Region
from mdm_async.dicom.profiles.file import parse_profile
from mdm_async.dicom.profiles.importing.ctp import read_ctp
from mdm_async.dicom.profiles.importing.deid import read_deid
from mdm_async.dicom.profiles.keywords import keyword_of
from mdm_async.errors import BadRequest

CTP = """
Words of our own, with a (parenthesis, in it).

Sono pages
  { Modality.equals("US") *
    [0008,0070].containsIgnoreCase("Ac*me") *
    [0028,0010].equals("480") }
  (0,0,640,40) (600, 440, 40, 40)

Two models
  { Manufacturer.startsWith("ACME") * ( ManufacturerModelName.equals("A") + ManufacturerModelName.endsWith("B") ) }
  (0,0,10,10)

Not to be said
  { !Modality.equals("US") } (0,0,10,10)
  { PatientName.contains("DOE") } (0,0,10,10)
  { Modality.equals("") } (0,0,10,10)
  { Modality.isLessThan("3") } (0,0,10,10)
  { Modality.contains("U") * Modality.contains("S") } (0,0,10,10)
  { true. } (0,0,10,10)
  { Modality.equals("US") }
  { Modality.equals("US") } (0,0,10)
  { Modality.equals("US") } (0,0,10,-1)
  { Modality.matches("US(1|2)") } (0,0,10,10)
  { Modality.equals("US" } (0,0,10,10)
"""


def test_a_script_of_ctp_becomes_pixel_rules() -> None:
    found = read_ctp(CTP, "sono")
    sono, one, other = found.profile.pixel_rules
    assert sono.blank == (Region(0, 0, 640, 40), Region(600, 440, 40, 40))
    assert {keyword_of(tag): text for tag, text in sono.when} == {
        "Modality": "US",
        "Manufacturer": "*[Aa][Cc][*][Mm][Ee]*",
        "Rows": "480",
    }
    assert {dict(rule.when)[0x00081090] for rule in (one, other)} == {"A", "*B"}
    assert parse_profile(found.toml) == found.profile
    reasons = [each.why for each in found.untranslated]
    assert reasons == [
        "a rule cannot ask for what is not so",
        "no rule can ask for PatientName",
        "a rule cannot ask for what is empty",
        "a rule cannot ask by isLessThan",
        "a rule asks for Modality once",
        "it is true of every image",
        "no region follows",
        "a region is not four whole numbers",
        "a region is not four whole numbers",
        "a regular expression of more than letters, ., .* and |",
        "it is not understood",
    ]
    assert found.untranslated[0].line == 15
    assert found.toml.count("# not translated, line ") == len(reasons)


DEID = """FORMAT dicom

%header
# Words of our own
ADD ClinicalTrialProtocolID TRIAL-1
ADD PatientIdentityRemoved YES
REMOVE startswith:Patient
KEEP PatientSex
BLANK contains:name
REPLACE StudyDescription A study   # of ours
REPLACE PatientID var:id
REPLACE AccessionNumber {subject}
JITTER StudyDate var:jitter
BLANK ALL
BLANK select:VR:TM
KEEP select:group:0018
BLANK (0008,1030)
REMOVE except:Rows
KEEP NoSuchField

%values patients
FIELD PatientID

%filter graylist

LABEL Dose pages # of ours
  contains Manufacturer ACME|Emca
  + equals Rows 512
  coordinates 10,0,512,80
  ctpcoordinates 0,400,512,100

LABEL All of it
  contains Modality US
  coordinates all

LABEL Two checks
  contains Modality US
  contains Modality OT
  coordinates 0,0,10,10

%filter blacklist

LABEL Screens
contains ImageType SAVE
+ contains Manufacturer GE || contains Manufacturer ACME
equals ImageType DERIVED
empty ImageType
"""


def test_a_recipe_of_deid_becomes_rules_of_all_kinds() -> None:
    found = read_deid(DEID, "study")
    profile = found.profile
    said = {
        str(of) if not isinstance(of, int) else keyword_of(of): (action.value, value)
        for of, action, value in profile.site
    }
    patterns = {name: how for name, how in said.items() if not name.isalpha()}
    assert patterns == {
        "Patient*": ("X", None),
        "*Name*": ("Z", None),
        "*name*": ("Z", None),
        "VR:TM": ("Z", None),
        "(0018,xxxx)": ("K", None),
    }
    assert said["PatientSex"] == ("K", None)
    assert said["PatientName"] == ("X", None)  # of REMOVE and BLANK the first is stronger
    assert said["StudyDescription"] == ("D", "A study")
    assert profile.added == ((0x00120020, "TRIAL-1"),)
    assert {rule.blank for rule in profile.pixel_rules} == {
        (Region(10, 0, 502, 80), Region(0, 400, 512, 100))
    }
    assert [dict(rule.when)[0x00080070] for rule in profile.pixel_rules] == [
        "*[Aa][Cc][Mm][Ee]*",
        "*[Ee][Mm][Cc][Aa]*",
    ]
    assert [str(drop.when) for drop in profile.drops] == [
        "ImageType *SAVE*, Manufacturer *GE*",
        "ImageType *SAVE*, Manufacturer *ACME*",
        "ImageType DERIVED",
        "ImageType DERIVED\\*",
        "ImageType *\\DERIVED",
        "ImageType *\\DERIVED\\*",
    ]
    assert {drop.because for drop in profile.drops} == {"Screens"}
    assert parse_profile(found.toml) == profile
    listed = {each.text.partition(" # ")[0]: each.why for each in found.untranslated}
    for line in (
        "ADD PatientIdentityRemoved YES",
        "REPLACE PatientID var:id",
        "REPLACE AccessionNumber {subject}",
        "JITTER StudyDate var:jitter",
        "BLANK ALL",
        "REMOVE except:Rows",
        "KEEP NoSuchField",
        "FIELD PatientID",
        "LABEL All of it: contains Modality US coordinates all",
        "LABEL Two checks: contains Modality US coordinates 0,0,10,10",
        "LABEL Screens: empty ImageType",
    ):
        assert line in listed, (line, listed)


def test_a_recipe_that_removes_all_keeps_only_what_it_names() -> None:
    assert read_deid("%header\nREMOVE ALL\nKEEP Rows", "x").profile.base == "keep-only"
    found = read_deid("%header\nREMOVE ALL func:is_name\nKEEP Rows", "x")
    assert found.profile.base == "basic"
    assert [each.line for each in found.untranslated] == [2]


def said_lines(text: str) -> list[str]:
    return [
        line.strip()
        for line in text.splitlines()
        if line.strip() and not line.strip().startswith(("#", "%", "FORMAT"))
    ]


def test_no_line_of_a_recipe_is_dropped() -> None:
    """Without any one line, the profile or the list is another."""
    whole = read_deid(DEID, "study")
    lines = DEID.splitlines()
    for number, line in enumerate(lines):
        if line.strip() in said_lines(DEID):
            less = read_deid("\n".join([*lines[:number], "", *lines[number + 1 :]]), "study")
            assert (less.profile, less.untranslated) != (whole.profile, whole.untranslated), line


@pytest.mark.parametrize("keyword", ["contains", "equals"])
def test_what_a_recipe_asks_is_asked_exactly(keyword: str) -> None:
    rule = read_deid(f"%filter g\nLABEL x\n{keyword} Manufacturer a.b\ncoordinates 0,0,1,1", "x").profile
    pattern = "[Aa]?[Bb]" if keyword == "equals" else "*[Aa]?[Bb]*"
    assert rule.pixel_rules == (PixelRule(((0x00080070, pattern),), (Region(0, 0, 1, 1),)),)


def test_the_stronger_of_two_actions_counts_as_in_deid() -> None:
    found = read_deid("%header\nKEEP StudyID\nREMOVE StudyID\nBLANK StationName\nREMOVE StationName", "x")
    assert [
        (keyword_of(of), action.value) for of, action, _ in found.profile.site if isinstance(of, int)
    ] == [
        ("StationName", "X"),
        ("StudyID", "K"),
    ]
    assert [each.line for each in found.untranslated] == [3, 4] or [
        each.line for each in found.untranslated
    ] == [3, 3]


pieces = st.sampled_from(
    [
        "{",
        "}",
        "(",
        ")",
        "*",
        "+",
        "!",
        'Modality.equals("US")',
        '[0008,0070].contains("A")',
        "true.",
        "0,0,1,1",
        "\n",
        "x",
    ]
)
words = st.sampled_from(
    [
        "%header",
        "%filter blacklist",
        "%filter g",
        "LABEL",
        "KEEP",
        "REMOVE",
        "ADD",
        "contains",
        "equals",
        "+",
        "Modality",
        "PatientName",
        "startswith:",
        "contains:a",
        "(0010,0010)",
        "US",
        "coordinates",
        "0,0,9,9",
        "\n",
    ]
)


@settings(max_examples=150)
@given(st.lists(pieces, max_size=30), st.lists(words, max_size=40))
def test_whatever_a_file_holds_its_profile_is_legal(some: list[str], others: list[str]) -> None:
    for found in (
        read_ctp(" ".join(some), "x"),
        read_deid(" ".join(others), "x"),
        read_deid("\x1b\0'\"" * 3, "x"),
    ):
        try:
            assert parse_profile(found.toml) == found.profile
        except BadRequest as why:
            pytest.fail(f"{why}: {found.toml}")
