"""Attributes that every view of a profile gets."""

import io

import pydicom
import pytest

from mdm_async.dicom import encode
from mdm_async.dicom.elements import encoding_of
from mdm_async.dicom.profiles.file import dump_profile, parse_profile
from mdm_async.dicom.profiles.in_words import in_words
from mdm_async.dicom.scrub import begin, scrub
from mdm_async.errors import BadRequest
from tests.dicom.conftest import KEY

TRIAL = """
name = "x"
[add]
ClinicalTrialProtocolID = "TRIAL-1"
ClinicalTrialSiteID = "SITE-3"
"0012,0010" = "Sponsor & Sons"
PatientComments = "none"
"""


def add(line: str, more: str = "") -> str:
    return f'name = "x"\n[add]\n{line}\n{more}\n'


def viewed(parts, tail=b"", profile=TRIAL):
    made = scrub(parts.head, tail or parts.tail, profile=parse_profile(profile), key=KEY, pixels=parts.facts)
    return pydicom.dcmread(io.BytesIO(made.head + parts.pixels + made.tail))


def test_what_is_absent_is_added_in_its_place(split, ct):
    view = viewed(split(ct))
    assert view.ClinicalTrialProtocolID == "TRIAL-1"
    assert view.ClinicalTrialSiteID == "SITE-3"
    assert view.ClinicalTrialSponsorName == "Sponsor & Sons"
    assert view.PatientComments == "none"
    tags = [element.tag for element in view]
    assert tags == sorted(tags)
    assert view.pixel_array.shape == (128, 128)


@pytest.mark.parametrize("syntax", ["1.2.840.10008.1.2", "1.2.840.10008.1.2.2"])
def test_it_is_written_as_the_file_is(syntax, writer):
    write = writer(encoding_of(syntax))
    body = write.element(0x00080018, "UI", b"1.2.3") + write.element(0x00100010, "PN", b"A^B")
    meta = encode.preamble_and_meta(b"1.2.840.10008.5.1.4.1.1.4", b"1.2.3", syntax.encode())
    begun = begin(meta + body, profile=parse_profile(TRIAL), key=KEY)
    view = pydicom.dcmread(io.BytesIO(begun.head))
    assert view.ClinicalTrialProtocolID == "TRIAL-1"
    assert view.PatientName == ""


def test_what_the_file_said_is_replaced_also_after_its_pixels(split, ct, write):
    theirs = write.element(0x00120020, "LO", b"OTHER") + write.element(0x00104000, "LT", b"Smith")
    data = pydicom.dcmread(io.BytesIO(ct))
    data.ClinicalTrialProtocolID, data.PatientComments = "OTHER", "Smith"
    out = io.BytesIO()
    data.save_as(out)
    view = viewed(split(out.getvalue()), theirs)
    assert view.ClinicalTrialProtocolID == "TRIAL-1"
    assert view.PatientComments == "none"


def test_what_is_added_survives_being_written_out_and_is_in_the_digest():
    profile = parse_profile(TRIAL)
    assert parse_profile(dump_profile(profile)) == profile
    assert profile.digest != parse_profile(TRIAL.replace("SITE-3", "SITE-4")).digest
    assert "adds ClinicalTrialSiteID (0012,0030) with the value SITE-3" in in_words(profile)


REFUSED = {
    "no table": ('name = "x"\nadd = 1', "add", "no table"),
    "no attribute": (add('TrialID = "1"'), "add.TrialID", "no attribute"),
    "a number": (add("ClinicalTrialSiteID = 3"), "add.ClinicalTrialSiteID", "no text"),
    "nothing": (add('ClinicalTrialSiteID = ""'), "add.ClinicalTrialSiteID", "not legal"),
    "no date": (add('StudyDate = "today"'), "add.StudyDate", "not legal"),
    "no ASCII": (add('ClinicalTrialSiteName = "Zürich"'), "add.ClinicalTrialSiteName", "not legal"),
    "said anew": (add('PatientIdentityRemoved = "NO"'), "add.PatientIdentityRemoved", "said anew"),
    "method": (add('DeidentificationMethod = "mine"'), "add.DeidentificationMethod", "said anew"),
    "dates": (add('LongitudinalTemporalInformationModified = "REMOVED"'), "Modified", "said anew"),
    "burned in": (add('BurnedInAnnotation = "NO"'), "add.BurnedInAnnotation", "seen of the pixels"),
    "a UID": (add('StudyInstanceUID = "1.2.3"'), "add.StudyInstanceUID", "one UID"),
    "the class": (add('SOPClassUID = "1.2.3"'), "add.SOPClassUID", "always kept"),
    "a sequence": (add('RequestAttributesSequence = "x"'), "Sequence", "no single value"),
    "a binary": (add('PregnancyStatus = "4"'), "PregnancyStatus", "no single value"),
    "pixels": (add('PixelData = "x"'), "PixelData", "about pixels"),
    "an overlay": (add('"6000,1500" = "x"'), "6000,1500", "overlay"),
    "private": (add('"0019,xx10 ACME" = "x"'), "0019,xx10 ACME", "no attribute"),
    "twice": (add('PatientSex = "O"\n"0010,0040" = "M"'), "0010,0040", "added already"),
    "ruled": (add('PatientSex = "O"', '[attributes]\nPatientSex = "K"'), "add.PatientSex", "a rule"),
    "ruled if": (
        add('PatientSex = "O"', '[[rules]]\nwhen = { Modality = "CT" }\nattributes = { PatientSex = "K" }'),
        "add.PatientSex",
        "a rule",
    ),
}


@pytest.mark.parametrize(("text", "key", "what"), REFUSED.values(), ids=REFUSED.keys())
def test_what_cannot_be_added_is_refused(text, key, what):
    with pytest.raises(BadRequest) as refused:
        parse_profile(text)
    where, _, said = refused.value.detail.partition(": ")
    assert key in where
    assert what in said
    assert refused.value.remedy


def test_a_pattern_leaves_what_is_added(split, ct):
    view = viewed(split(ct), profile=TRIAL + '[attributes]\n"(0012,xxxx)" = "X"\n')
    assert view.ClinicalTrialProtocolID == "TRIAL-1"
