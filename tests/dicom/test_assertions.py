"""What a view says of itself is so: it follows from the rules in force."""

import pytest

from mdm_async.dicom.profile import Action, Profile, basic
from mdm_async.dicom.profiles.file import parse_profile
from mdm_async.dicom.scrub import PixelFacts, scrub
from mdm_async.errors import BadRequest
from tests.pipeline import KEY, read

NO_PIXELS = PixelFacts(present=False, value_length=0, encapsulated=False, findings=())
_BASIC = ("113100", "Basic Application Confidentiality Profile")
MOVED = frozenset({"retain_longitudinal_modified_dates"})


def said(write, profile: Profile):
    body = write.element(0x00080020, "DA", b"20240229") + write.element(0x00100010, "PN", b"Meyer^Hans")
    body += write.element(0x00100020, "LO", b"4711") + write.element(0x00101001, "PN", b"Meyer^H")
    return read(scrub(write.file(body), b"", profile=profile, key=KEY, pixels=NO_PIXELS).head)


@pytest.mark.parametrize("tag", [0x00100010, 0x00100020, 0x00100030, 0x00101001, 0x00101040, 0x00080050])
def test_a_profile_that_keeps_who_the_patient_is_does_not_say_that_it_was_removed(write, tag):
    found = said(write, Profile("kept", site=((tag, Action.KEEP, None),)))
    assert found.PatientIdentityRemoved == "NO"
    assert "identity kept by rule" in found.DeidentificationMethod
    assert "DeidentificationMethodCodeSequence" not in found


def test_one_that_keeps_nobody_says_so_with_its_codes(write):
    found = said(write, basic())
    assert found.PatientIdentityRemoved == "YES"
    assert [code.CodeValue for code in found.DeidentificationMethodCodeSequence] == ["113100"]
    assert "identity" not in str(found.DeidentificationMethod)


def test_who_keeps_what_the_basic_profile_takes_does_not_say_its_code(write):
    station, options = (0x00081010, Action.KEEP, None), frozenset({"retain_uids"})
    found = said(write, Profile("station", site=(station,), options=options))
    assert found.PatientIdentityRemoved == "YES"
    assert [code.CodeValue for code in found.DeidentificationMethodCodeSequence] == ["113110"]
    by_option = Profile("device", site=(station,), options=frozenset({"retain_device_identity"}))
    assert by_option.codes() == (_BASIC, ("113109", "Retain Device Identity Option"))


@pytest.mark.parametrize(
    ("profile", "dates"),
    [
        (basic(), "REMOVED"),
        (Profile("moved", options=MOVED), "MODIFIED"),
        (Profile("full", options=frozenset({"retain_longitudinal_full_dates"})), "UNMODIFIED"),
        (Profile("one", site=((0x00080020, Action.KEEP, None),)), "UNMODIFIED"),
        (Profile("shifted", site=((0x00080020, Action.SHIFT, None),)), "MODIFIED"),
        (Profile("none", site=((0x00080020, Action.REMOVE, None),)), "REMOVED"),
    ],
    ids=lambda value: value.name if isinstance(value, Profile) else value,
)
def test_what_became_of_dates_is_said_as_it_is_done(write, profile, dates):
    assert said(write, profile).LongitudinalTemporalInformationModified == dates


def test_a_document_with_its_payload_may_say_anything_and_is_not_called_without_identity(write):
    document = write.file(b"", sop_class="104.1")
    made = scrub(document, b"", profile=Profile("d", documents="allow"), key=KEY, pixels=NO_PIXELS)
    assert read(made.head).PatientIdentityRemoved == "NO"


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ('options = ["retain_longitudinal_modified_dates"]\n[attributes]\nStudyDate = "K"\n', "StudyDate"),
        ('options = ["retain_longitudinal_full_dates"]\n[attributes]\nStudyDate = "S"\n', "Date"),
        ('options = ["retain_device_identity"]\n[attributes]\nStudyDate = "S"\n', "Date"),
        ('[attributes]\nPatientID = "K"\n', "PatientID"),
    ],
    ids=["a kept date", "kept dates", "the device's dates", "an ID beside its pseudonym"],
)
def test_what_would_give_itself_away_is_refused_when_the_profile_is_checked(text, named):
    with pytest.raises(BadRequest, match=named):
        parse_profile('name = "p"\n' + text)


def test_an_id_may_be_kept_where_no_pseudonym_of_it_stands():
    parse_profile('name = "p"\n[attributes]\nPatientID = "K"\nPatientName = "X"\n')
