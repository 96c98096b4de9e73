"""Profile files that are refused, each with what to write instead."""

import pytest

from mdm_async.dicom.profiles.file import parse_profile
from mdm_async.errors import BadRequest


def attribute(line: str) -> str:
    return f'name = "x"\n[attributes]\n{line}\n'


def kind(lines: str) -> str:
    return f'name = "x"\n[[kinds]]\n{lines}\n'


def pixels(lines: str) -> str:
    return f'name = "x"\n[[pixels]]\n{lines}\n'


US = 'when = { Modality = "US" }\n'


REFUSED = {
    # the file
    "no TOML": ("name = ", "text", "is not TOML", "toml.io"),
    "deep": ("name = " + "[" * 100_000, "text", "nested too deeply", "toml.io"),
    "long": ("#" * (1 << 20) + "\n", "text", "longer than", "fewer"),
    "parts": ("a" + ".a" * 300_000 + " = 1", "text", "more than 1000 dots in a line", "several lines"),
    "parts around other ends of lines": (
        ("a." * 900 + '"\u2028".') * 300 + "a = 1",
        "text",
        "more than 1000 dots in a line",
        "several lines",
    ),
    "unknown key": ('name = "x"\noption = []', "the profile's option", "not known", "options"),
    "odd key": ('name = "x"\n"a\\nb" = 1', "the profile's 'a\\nb'", "not known", "options"),
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
    "S": (attribute('PatientID = "S"'), "attributes.PatientID", "only dates and times", "X, Z, D or K"),
    "private S": (attribute('"0019,xx10 ACME" = "D"'), "'0019,xx10 ACME'", "cannot be changed", "S of dates"),
    "S of a listed text": (
        attribute('"0019,xx23 GEMS_ACQU_01" = "S"'),
        "'0019,xx23 GEMS_ACQU_01'",
        "lists it with the VR DS",
        "X, Z or K",
    ),
    "no words": (
        attribute('StudyDate = { generalise = "decade" }'),
        "attributes.StudyDate.generalise",
        "is not known",
        '"bins of 10 years"',
    ),
    "generalise and more": (
        attribute('StudyDate = { generalise = "year", action = "K" }'),
        "attributes.StudyDate",
        "more than to generalise",
        "alone",
    ),
    "the year of an age": (
        attribute('PatientAge = { generalise = "year" }'),
        "attributes.PatientAge",
        "is said of DA or DT",
        "another action",
    ),
    "the year of a private one": (
        attribute('"0019,xx10 ACME" = { generalise = "year" }'),
        "'0019,xx10 ACME'",
        "cannot be changed",
        "S of dates",
    ),
    "value of C": (
        attribute('StudyDescription = { action = "C", value = "x" }'),
        "attributes.StudyDescription",
        "C writes no value",
        "leave out",
    ),
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
    "U of a listed text": (
        attribute('"0019,xx23 GEMS_ACQU_01" = "U"'),
        "'0019,xx23 GEMS_ACQU_01'",
        "lists it with the VR DS",
        "X, Z or K",
    ),
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
    "outside of what": (
        pixels(US + 'blank_outside = "regions"'),
        "pixels[0].blank_outside",
        "not known",
        '"ultrasound regions"',
    ),
    "trusts and blanks outside": (
        pixels(US + 'trust = true\nblank_outside = "ultrasound regions"'),
        "pixels[0]",
        "both trusts",
        "leave out",
    ),
    "kinds in words": ('name = "x"\nkinds = "none"', "kinds", "no list", "[[kinds]]"),
    "kinds in numbers": ('name = "x"\nkinds = [1]', "kinds[0]", "no table", "when"),
    "key of a kind": (kind('name = "a"\nwhat = 1'), "kinds[0].what", "not known", "when"),
    "nameless kind": (kind('when = { Modality = "US" }'), "kinds[0].name", "missing", "worksheet"),
    "lines in a kind": (
        kind('name = "a\\nb"\nwhen = { Modality = "US" }'),
        "kinds[0].name",
        "no short name",
        "worksheet",
    ),
    "kind of nothing": (kind('name = "a"'), "kinds[0].when", "which images", "Modality"),
    "kind of all": (kind('name = "a"\nwhen = { Modality = "*" }'), "kinds[0].when", "every picture", "when"),
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
