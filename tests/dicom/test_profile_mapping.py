"""Patients under the names that their project gives them."""

import io
from datetime import date, datetime

import pydicom
import pytest

from mdm_async.dicom import encode
from mdm_async.dicom.elements import IMPLICIT_LITTLE
from mdm_async.dicom.mapping import Mapping, Subject
from mdm_async.dicom.profiles.file import dump_profile, parse_profile
from mdm_async.dicom.profiles.in_words import in_words
from mdm_async.dicom.scrub import begin, finish
from mdm_async.errors import BadRequest
from mdm_async.images.names.path_template import PathTemplate
from tests.dicom.conftest import KEY

TRIAL = """
name = "trial"
options = ["retain_longitudinal_modified_dates"]
unmapped = "refuse"
[add]
ClinicalTrialSubjectID = "{subject}"
PatientComments = "subject {subject} of the trial"
"""


def viewed(parts, subject, profile=TRIAL, tail=b""):
    rules = parse_profile(profile)
    begun = begin(parts.head, profile=rules, key=KEY, subject=subject)
    made = finish(begun, tail or parts.tail, profile=rules, key=KEY, pixels=parts.facts)
    return pydicom.dcmread(io.BytesIO(made.head + parts.pixels + made.tail))


def test_a_subject_is_the_patients_id_and_name_and_its_shift_that_of_all_dates(split, ct):
    view, original = viewed(split(ct), Subject("S-001", -100)), pydicom.dcmread(io.BytesIO(ct))
    assert (view.PatientID, str(view.PatientName)) == ("S-001", "S-001^")
    assert view.ClinicalTrialSubjectID == "S-001"
    assert view.PatientComments == "subject S-001 of the trial"
    assert (day(original.StudyDate) - day(view.StudyDate)).days == 100
    assert (day(original.StudyDate) - day(viewed(split(ct), Subject("S", 30)).StudyDate)).days == -30


def day(text: str) -> date:
    return datetime.strptime(text, "%Y%m%d").date()


def test_without_a_shift_of_its_own_a_subject_has_the_keyed_one(split, ct):
    named, keyed = viewed(split(ct), Subject("S-001")), viewed(split(ct), None)
    assert named.StudyDate == keyed.StudyDate
    assert named.PatientID != keyed.PatientID


def test_who_is_not_mapped_has_a_pseudonym_everywhere(split, ct):
    view = viewed(split(ct), None)
    assert view.PatientID.startswith("MDM")
    assert view.ClinicalTrialSubjectID == view.PatientID == str(view.PatientName).rstrip("^")


def test_nested_and_late_patient_ids_are_the_subjects_only_when_they_are_the_patients(split, ct, write):
    original = pydicom.dcmread(io.BytesIO(ct))
    for patient, same in ((original.PatientID, True), ("SOMEBODY", False)):
        nested = write.element(0x00100020, "LO", patient.encode())
        late = write.sequence(0x00081140, write.element(0x00081150, "UI", b"1.2") + nested) + nested
        view = viewed(
            split(ct), Subject("S-001"), tail=late, profile=TRIAL + '[attributes]\nPatientID = "Z"\n'
        )
        found = {str(each.value) for each in view.iterall() if each.tag == 0x00100020}
        assert (found == {"S-001"}) is same
        assert "SOMEBODY" not in found


@pytest.mark.parametrize("options", ["", 'options = ["retain_longitudinal_modified_dates"]\n'])
def test_shifts_in_whole_weeks_keep_weekdays(options, split, ct):
    rules = "" if options else '[attributes]\nStudyDate = "S"\nSeriesDate = "S"\n'
    weeks = viewed(split(ct), None, f'name = "x"\n{options}shift = "weeks"\n{rules}')
    days = viewed(split(ct), None, f'name = "x"\n{options}{rules}')
    original = pydicom.dcmread(io.BytesIO(ct))
    moved = (day(original.StudyDate) - day(weeks.StudyDate)).days
    assert moved % 7 == 0
    assert moved >= 364
    assert 0 <= (day(original.StudyDate) - day(days.StudyDate)).days - moved < 7
    assert weeks.LongitudinalTemporalInformationModified == "MODIFIED"


def test_a_file_with_two_patient_ids_is_nobodys(write):
    mapping = Mapping.parse("patient,subject\n1,A\n2,B\n")
    one, two = write.element(0x00100020, "LO", b"1"), write.element(0x00100020, "LO", b"2 ")
    assert mapping.subject_of(write.file(one)) == Subject("A")
    assert mapping.subject_of(write.file(one + one)) == Subject("A")
    assert mapping.subject_of(write.file(one + two)) is None
    assert mapping.subject_of(write.file(b"")) is None
    assert mapping.subject_of(write.file(write.sequence(0x00081140, one))) is None


def test_who_is_mapped_is_read_as_the_data_set_is_written(writer):
    write = writer(IMPLICIT_LITTLE)
    start = write.element(0x00080018, "UI", b"1.2.3") + write.element(0x00100020, "LO", b"1")
    for syntax in (b"1.2.840.10008.1.2", b"1.2.840.10008.1.2.4.50"):
        head = encode.preamble_and_meta(b"1.2.840.10008.5.1.4.1.1.4", b"1.2.3", syntax) + start
        assert Mapping.parse("patient,subject\n1,A\n").subject_of(head) == Subject("A")


def test_how_patients_are_mapped_survives_being_written_out_and_is_in_the_digest():
    profile = parse_profile(TRIAL.replace("unmapped", 'shift = "weeks"\nunmapped'))
    again = parse_profile(dump_profile(profile))
    assert again == profile
    digests = {parse_profile(text).digest for text in (TRIAL, TRIAL.replace('"refuse"', '"pseudonym"'))}
    assert len(digests | {profile.digest}) == 3
    said = " ".join(in_words(profile))
    assert "whole weeks" in said
    assert "who is not in it is refused" in said
    assert "(0012,0040) with the value {subject}" in said


MOVED = 'options = ["retain_longitudinal_modified_dates"]\n[attributes]\n'
REFUSED = {
    "a date beside moved ones": (
        MOVED + 'StudyDate = "K"',
        "attributes",
        "StudyDate (0008,0020) tells a real date",
    ),
    "dates by pattern": (MOVED + '"VR:DA" = "K"', "attributes", "tells a real date"),
    "its year": (MOVED + 'StudyDate = { generalise = "year" }', "attributes", "tells a real date"),
    "a private one": (
        MOVED + 'AcquisitionDateTime = "K"',
        "attributes",
        "AcquisitionDateTime (0008,002A) tells a real date",
    ),
    "beside one that is moved": (
        '[attributes]\nStudyDate = "S"\nSeriesDate = "K"',
        "attributes",
        "SeriesDate (0008,0021) tells a real date",
    ),
    "moved in some images, told in others": (
        '[[rules]]\nwhen = { Modality = "CT" }\nattributes = { StudyDate = "K" }\n'
        '[[rules]]\nwhen = { Modality = "MR" }\nattributes = { StudyDate = "S" }',
        "attributes",
        "StudyDate (0008,0020) tells a real date",
    ),
    "at times": (
        MOVED + '[[rules]]\nwhen = { Modality = "CT" }\nattributes = { ContentDate = "K" }',
        "attributes",
        "ContentDate (0008,0023) tells a real date",
    ),
    "unmapped": ('unmapped = "keep"', "unmapped", "not known"),
    "shift": ('shift = "months"', "shift", "not known"),
    "nothing moves": ('shift = "weeks"', "shift", "no dates are moved"),
    "no mapping": ('[add]\nClinicalTrialSubjectID = "{subject}"', "ClinicalTrialSubjectID", "none is used"),
    "no field": (
        'unmapped = "refuse"\n[add]\nClinicalTrialSubjectID = "{patient}"',
        "ClinicalTrialSubjectID",
        "a field that does not exist",
    ),
    "too long": (
        'unmapped = "refuse"\n[add]\nClinicalTrialSubjectID = "a subject of this trial, namely: {subject}"',
        "ClinicalTrialSubjectID",
        "not legal",
    ),
    "kept": ('unmapped = "refuse"\n[attributes]\nPatientID = "K"', "unmapped", "PatientID is kept"),
    "kept by pattern": (
        'unmapped = "refuse"\n[attributes]\n"Patient*" = "K"',
        "unmapped",
        "PatientID is kept",
    ),
    "kept at times": (
        'unmapped = "refuse"\n[[rules]]\nwhen = { Modality = "CT" }\nattributes = { PatientID = "K" }',
        "unmapped",
        "PatientID is kept",
    ),
}


@pytest.mark.parametrize(("lines", "key", "what"), REFUSED.values(), ids=REFUSED.keys())
def test_what_does_not_agree_is_refused(lines, key, what):
    with pytest.raises(BadRequest) as refused:
        parse_profile(f'name = "x"\n{lines}\n')
    where, _, said = refused.value.detail.partition(": ")
    assert key in where
    assert what in said
    assert refused.value.remedy


def test_paths_name_subjects_of_the_mapping_and_nobody_else():
    path = PathTemplate("{subject}/{study}/{instance}.dcm")
    assert path.names_subject
    assert not PathTemplate("{patient}/{instance}.dcm").names_subject
    assert path.fill({"PatientID": "S-001"}, KEY, {"S-001"}).startswith("S-001/none/")
    assert path.fill({"PatientID": "4711"}, KEY, {"S-001"}).startswith("MDM")
    patient = PathTemplate("{patient}/{study}/{instance}.dcm")
    assert path.fill({"PatientID": "4711"}, KEY, {"S-001"}) == patient.fill({"PatientID": "4711"}, KEY)
