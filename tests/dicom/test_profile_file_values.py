"""Values and single attributes in profile files."""

import pytest

from mdm_async.dicom.profile import (
    Action,
    Profile,
    Rule,
)
from mdm_async.dicom.profiles.file import dump_profile, parse_profile
from mdm_async.dicom.profiles.keywords import tag_of
from mdm_async.errors import BadRequest


def attribute(line: str) -> str:
    return f'name = "x"\n[attributes]\n{line}\n'


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
