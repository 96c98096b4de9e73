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
from mdm_async.dicom.profiles.file import dump_profile, parse_profile
from mdm_async.dicom.profiles.keywords import tag_of
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
        ),
    )
    assert profile.rule(0x00081030) == Rule(Action.DUMMY, "site rule", "Study")
    assert profile.private_rule("ACME 1.1", 0x00194210) == (Rule(Action.KEEP, "site rule"), b"")


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
        ]
        attributes."0019,xx10 ACME 1.1" = { action = "K" }
        attributes.StudyDescription = { value = "Study", action = "D" }
        attributes."0010,0040" = "K"
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


printable = st.text(min_size=1, max_size=30).filter(lambda text: text.strip() and text.isprintable())
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
    site=st.builds(
        lambda public, private: tuple(
            (of, *rule) for rules in (public, private) for of, rule in sorted(rules.items())
        ),
        public_rules,
        private_rules,
    ),
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


def attribute(line: str) -> str:
    return f'name = "x"\n[attributes]\n{line}\n'


def pixels(lines: str) -> str:
    return f'name = "x"\n[[pixels]]\n{lines}\n'


US = 'when = { Modality = "US" }\n'

REFUSED = {
    # the file
    "no TOML": ("name = ", "text", "is not TOML", "toml.io"),
    "deep": ("name = " + "[" * 100_000, "text", "nested too deeply", "toml.io"),
    "long": ("#" * (1 << 20) + "\n", "text", "longer than", "fewer"),
    "unknown key": ('name = "x"\noption = []', "keys.option", "not known", "options"),
    "odd key": ('name = "x"\n"a\\nb" = 1', "keys.'a\\nb'", "not known", "options"),
    # name, base, project, what to do
    "no name": ('base = "basic"', "name", "is missing", "small letter"),
    "capitals": ('name = "Cardio"', "name", "is not a name", "small letter"),
    "long name": (f'name = "{"x" * 64}"', "name", "is not a name", "up to 62"),
    "number for a name": ("name = 3", "name", "is not a name", "small letter"),
    "basic": ('name = "basic"', "name", "built in", "another name"),
    "identified": ('name = "identified"', "name", "built in", "another name"),
    "other base": ('name = "x"\nbase = "none"', "base", "not known", '"basic"'),
    "project": ('name = "x"\nproject = "A B"', "project", "is not a name", "small letter"),
    "burned_in": ('name = "x"\nburned_in = "serve"', "burned_in", "not known", '"refuse" or "quarantine"'),
    "documents": (
        'name = "x"\ndocuments = true',
        "documents",
        "not known",
        '"refuse" or "quarantine" or "allow"',
    ),
    # options
    "options in words": ('name = "x"\noptions = "retain_uids"', "options", "no list", "retain_uids"),
    "numbers": ('name = "x"\noptions = [1]', "options", "no list", "retain_uids"),
    "no option": (
        'name = "x"\noptions = ["retain_uids", "retain_names"]',
        "options[1]",
        "no option",
        "retain_uids",
    ),
    "twice": ('name = "x"\noptions = ["retain_uids", "retain_uids"]', "options", "twice", "leave out"),
    "both dates": (
        'name = "x"\noptions = ["retain_longitudinal_full_dates", "retain_longitudinal_modified_dates"]',
        "options",
        "kept or moved, not both",
        "leave out",
    ),
    # which attribute
    "no table": ('name = "x"\nattributes = ["PatientSex"]', "attributes", "no table", "[attributes]"),
    "no keyword": (attribute('PatientSecks = "K"'), "attributes.PatientSecks", "no attribute", "PatientSex"),
    "half a tag": (attribute('"0010" = "K"'), "attributes.0010", "no attribute", "gggg,eeee"),
    "all overlays": (attribute('OverlayData = "K"'), "attributes.OverlayData", "no attribute", "gggg,eeee"),
    "two spellings": (
        attribute('PatientSex = "K"\n"0010,0040" = "X"'),
        "attributes.'0010,0040'",
        "already",
        "leave one out",
    ),
    "private block": (
        attribute('"0019,1010" = "K"'),
        "attributes.'0019,1010'",
        "known by its creator",
        "gggg,xxee CREATOR",
    ),
    "even group": (attribute('"0018,xx10 ACME" = "K"'), "'0018,xx10 ACME'", "no private", "odd group"),
    "low group": (attribute('"0007,xx10 ACME" = "K"'), "'0007,xx10 ACME'", "no private", "odd group"),
    "no creator": (attribute('"0019,xx10 " = "K"'), "'0019,xx10 '", "no attribute", "gggg,xxee CREATOR"),
    "private pixels": (attribute('"7FD1,xx10 ACME" = "K"'), "'7FD1,xx10 ACME'", "pixels", "leave out"),
    "unheard of": (attribute('"0010,0FFF" = "K"'), "'0010,0FFF'", "public dictionary", "write X"),
    # which action
    "no action": (attribute('PatientSex = "Q"'), "attributes.PatientSex", "no action", "X, Z, D, U, K, C"),
    "shift": (attribute('StudyDate = "S"'), "attributes.StudyDate", "no action", "X, Z, D, U, K, C"),
    "true": (attribute("PatientSex = true"), "attributes.PatientSex", "says no action", '"K"'),
    "value alone": (attribute('PatientSex = { value = "O" }'), "attributes.PatientSex", "no action", '"K"'),
    "key in a rule": (
        attribute('PatientSex = { action = "K", why = "" }'),
        "attributes.PatientSex.why",
        "not known",
        '"K"',
    ),
    "U": (attribute('PatientID = "U"'), "attributes.PatientID", "only UIDs", "another action"),
    "U of a sequence": (attribute('RequestAttributesSequence = "U"'), "Sequence", "only UIDs", "another"),
    "C of a date": (attribute('StudyDate = "C"'), "attributes.StudyDate", "only text", "X, Z, D or K"),
    "C of a UID": (attribute('StudyInstanceUID = "C"'), "StudyInstanceUID", "only text", "X, Z, D or K"),
    "C of a title": (attribute('StationAETitle = "C"'), "StationAETitle", "only text", "X, Z, D or K"),
    "D of a UID": (attribute('StudyInstanceUID = "D"'), "StudyInstanceUID", "no dummy UID", "write U"),
    "private D": (attribute('"0019,xx10 ACME" = "D"'), "'0019,xx10 ACME'", "cannot be changed", "X, Z or K"),
    "private U": (attribute('"0019,xx10 ACME" = "U"'), "'0019,xx10 ACME'", "cannot be changed", "X, Z or K"),
    "private C": (attribute('"0019,xx10 ACME" = "C"'), "'0019,xx10 ACME'", "cannot be changed", "X, Z or K"),
    # about what no site decides
    "group length": (attribute('"0010,0000" = "K"'), "'0010,0000'", "group lengths", "leave out"),
    "meta": (attribute('"0002,0003" = "K"'), "'0002,0003'", "no place in a data set", "leave out"),
    "command": (attribute('"0000,1000" = "X"'), "'0000,1000'", "no place in a data set", "leave out"),
    "directory": (attribute('"0004,1511" = "K"'), "'0004,1511'", "no place in a data set", "leave out"),
    "delimiter": (attribute('"FFFE,E000" = "K"'), "'FFFE,E000'", "no place in a data set", "leave out"),
    "identity removed": (attribute('PatientIdentityRemoved = "X"'), "Removed", "said anew", "leave out"),
    "method": (
        attribute('DeidentificationMethod = { action = "D", value = "none" }'),
        "attributes.DeidentificationMethod",
        "said anew",
        "leave out",
    ),
    "codes": (attribute('DeidentificationMethodCodeSequence = "X"'), "Sequence", "said anew", "leave out"),
    "dates": (
        attribute('LongitudinalTemporalInformationModified = "K"'),
        "Modified",
        "said anew",
        "leave out",
    ),
    "pixels": (attribute('PixelData = "K"'), "attributes.PixelData", "about pixels", "leave out"),
    "float pixels": (attribute('FloatPixelData = "X"'), "FloatPixelData", "about pixels", "leave out"),
    "old pixels": (attribute('"7F00,0010" = "K"'), "'7F00,0010'", "about pixels", "leave out"),
    "signatures": (attribute('DigitalSignaturesSequence = "K"'), "Sequence", "signatures", "leave out"),
    "MAC": (attribute('MACParametersSequence = "K"'), "MACParametersSequence", "signatures", "leave out"),
    "rows": (attribute('Rows = "X"'), "attributes.Rows", "cannot be read", "leave out"),
    "characters": (attribute('SpecificCharacterSet = "Z"'), "Set", "cannot be read", "leave out"),
    "class": (attribute('SOPClassUID = "U"'), "SOPClassUID", "cannot be read", "leave out"),
    "instance": (
        attribute('SOPInstanceUID = { action = "D", value = "1.2.3" }'),
        "SOPInstanceUID",
        "of its own",
        "U or K",
    ),
    # values
    "value of K": (
        attribute('PatientSex = { action = "K", value = "O" }'),
        "attributes.PatientSex",
        "K writes no value",
        "leave out",
    ),
    "number": (
        attribute('PatientWeight = { action = "D", value = 70 }'),
        "attributes.PatientWeight.value",
        "is no text",
        "between quotes",
    ),
    "sequence": (
        attribute('RequestAttributesSequence = { action = "D", value = "x" }'),
        "value",
        "not legal",
        "leave out the value",
    ),
    "binary": (
        attribute('PregnancyStatus = { action = "D", value = "4" }'),
        "attributes.PregnancyStatus.value",
        "VR US",
        "leave out the value",
    ),
    # pixel rules
    "pixels in words": ('name = "x"\npixels = "none"', "pixels", "no list", "[[pixels]]"),
    "pixels in numbers": ('name = "x"\npixels = [1]', "pixels[0]", "no table", "when"),
    "key of pixels": (pixels(US + "trusted = true"), "pixels[0].trusted", "not known", "trust"),
    "no when": (pixels("trust = true"), "pixels[0].when", "which images", "Modality"),
    "empty when": (pixels("when = {}\ntrust = true"), "pixels[0].when", "which images", "Modality"),
    "when of a patient": (
        pixels('when = { PatientName = "A*" }\ntrust = true'),
        "pixels[0].when.PatientName",
        "cannot be asked for",
        "Manufacturer",
    ),
    "no pattern": (pixels('when = { Modality = " " }\ntrust = true'), "when.Modality", "no pattern", "ACME*"),
    "rows in numbers": (pixels("when = { Rows = 512 }\ntrust = true"), "when.Rows", "no pattern", "ACME*"),
    "lines": (pixels('when = { Modality = "U\\nS" }\ntrust = true'), "when.Modality", "no pattern", "ACME*"),
    "neither": (pixels(US), "pixels[0]", "neither blanks nor trusts", "trust = true"),
    "no trust": (pixels(US + "trust = false"), "pixels[0]", "neither blanks nor trusts", "trust = true"),
    "both": (pixels(US + "trust = true\nblank = [[0, 0, 1, 1]]"), "pixels[0]", "both trusts", "leave out"),
    "trust in words": (pixels(US + 'trust = "yes"'), "pixels[0].trust", "neither true nor false", "true"),
    "one region": (pixels(US + "blank = [0, 0, 1, 1]"), "blank[0]", "four whole numbers", "width"),
    "no region": (pixels(US + "blank = []"), "blank", "no list of regions", "width"),
    "three": (pixels(US + "blank = [[0, 0, 1]]"), "blank[0]", "four whole numbers", "width"),
    "halves": (pixels(US + "blank = [[0, 0, 1.5, 1]]"), "blank[0]", "four whole numbers", "width"),
    "truth": (pixels(US + "blank = [[0, 0, true, 1]]"), "blank[0]", "four whole numbers", "width"),
    "left of it": (pixels(US + "blank = [[-1, 0, 1, 1]]"), "blank[0]", "outside", "top left"),
    "far away": (pixels(US + "blank = [[0, 65536, 1, 1]]"), "blank[0]", "outside", "top left"),
    "no width": (pixels(US + "blank = [[0, 0, 0, 1]]"), "blank[0]", "no width", "top left"),
    "second": (pixels(US + "blank = [[0, 0, 1, 1], [0, 0, 1, 0]]"), "blank[1]", "no height", "top left"),
    "negative": (pixels(US + "blank = [[0, 0, 1, -1]]"), "blank[0]", "outside", "top left"),
}


@pytest.mark.parametrize(("text", "key", "what", "remedy"), REFUSED.values(), ids=REFUSED.keys())
def test_what_is_not_understood_is_refused_with_what_to_write_instead(text, key, what, remedy):
    with pytest.raises(BadRequest) as refused:
        parse_profile(text)
    where, _, said = refused.value.detail.partition(": ")
    assert where.startswith("the profile's ")
    assert key in where
    assert what in said
    assert remedy in refused.value.remedy


LEGAL = {
    "StationAETitle": ["MDM", "A B"],
    "PatientAge": ["045Y", "002W"],
    "PatientSex": ["O", "A_1 B"],
    "StudyDate": ["20260101", "20240229"],
    "PatientWeight": ["70", "-7.5e1", "+.5", "1.", "1234567890123456"],
    "AcquisitionDateTime": ["20260101", "2026010112", "20260101120000.123456+0100"],
    "InstanceNumber": ["0", "-2147483648", "2147483647"],
    "StudyDescription": ["Study", "x" * 64],
    "PatientComments": ["two\r\nlines", "back\\slash"],
    "PatientName": ["Doe^Jane", "A^B^C^D^E"],
    "AccessionNumber": ["1", "x" * 16],
    "InstitutionAddress": ["x" * 1024],
    "StudyTime": ["12", "1200", "120000.5"],
    "StudyInstanceUID": ["1.2.840.0.1", "2." + "1" * 62],
    "RetrieveURL": ["urn:removed"],
    "LongCodeValue": ["x" * 64],
    "UniqueDeviceIdentifier": ["(01)1"],
}
ILLEGAL = {
    "StationAETitle": ["", " ", "x" * 17, "A\\B"],
    "PatientAge": ["45Y", "45", "045y"],
    "PatientSex": ["o", "A" * 17, "A\\B", "A-B"],
    "StudyDate": ["2026", "20260230", "2026-01-01", "20261301", "00000101"],
    "PatientWeight": ["seventy", "1,5", "12345678901234567", "1\\2", "."],
    "AcquisitionDateTime": ["2026", "20260101250000", "20260230", "20260101120000+9900"],
    "InstanceNumber": ["1.0", "2147483648", "-2147483649", "99999999999"],
    "StudyDescription": ["x" * 65, "two\nlines", "\x1b$B", "É", "   "],
    "PatientComments": ["x" * 10241, "\n", "\0"],
    "PatientName": ["x" * 65, "A=B", "A^B^C^D^E^F", "A\\B"],
    "AccessionNumber": ["x" * 17, "\t"],
    "InstitutionAddress": ["x" * 1025],
    "StudyTime": ["24", "1260", "1", "12:00"],
    "StudyInstanceUID": ["1", "1.02", "1..2", "3.1", "1." + "1" * 63, "1.2\n"],
    "RetrieveURL": ["removed", "urn:a b"],
    "LongCodeValue": ["A\\B"],
    "UniqueDeviceIdentifier": [" "],
}


def with_value(keyword: str, value: str) -> Profile:
    site = ((tag_of(keyword), Action.DUMMY, value),)
    return Profile("x", project="x", site=site)


@pytest.mark.parametrize(("keyword", "value"), [(k, v) for k, values in LEGAL.items() for v in values])
def test_a_value_that_is_legal_for_the_vr_is_taken(keyword, value):
    assert parse_profile(dump_profile(with_value(keyword, value))) == with_value(keyword, value)


@pytest.mark.parametrize(("keyword", "value"), [(k, v) for k, values in ILLEGAL.items() for v in values])
def test_a_value_that_is_not_legal_for_the_vr_is_refused(keyword, value):
    with pytest.raises(BadRequest) as refused:
        parse_profile(dump_profile(with_value(keyword, value)))
    assert f"attributes.{keyword}.value: is not legal" in refused.value.detail
    assert "in ASCII" in refused.value.remedy


@pytest.mark.parametrize(
    ("line", "tag", "action"),
    [
        ('PatientName = "K"', 0x00100010, Action.KEEP),
        ('"0010,004f" = "X"', 0x0010004F, Action.REMOVE),
        ('"0010,0FFF" = "X"', 0x00100FFF, Action.REMOVE),
        ('StudyInstanceUID = "K"', 0x0020000D, Action.KEEP),
        ('SOPInstanceUID = "K"', 0x00080018, Action.KEEP),
        ('DeviceUID = { action = "D", value = "1.2.3" }', 0x00181002, Action.DUMMY),
        ('PatientComments = "C"', 0x00104000, Action.CLEAN),
        ('ContentSequence = "C"', 0x0040A730, Action.CLEAN),
        ('"6000,3000" = "C"', 0x60003000, Action.CLEAN),
        ('RequestAttributesSequence = "D"', 0x00400275, Action.DUMMY),
        ('PregnancyStatus = "D"', 0x001021C0, Action.DUMMY),
        ('Rows = "K"', 0x00280010, Action.KEEP),
    ],
)
def test_a_site_decides_about_single_attributes(line, tag, action):
    assert parse_profile(attribute(line)).rule(tag).action is action


def test_a_rule_for_one_overlay_is_not_for_the_others():
    profile = parse_profile(attribute('"6002,3000" = "K"'))
    assert profile.rule(0x60023000) == Rule(Action.KEEP, "site rule")
    assert profile.rule(0x60003000).action is Action.REMOVE
