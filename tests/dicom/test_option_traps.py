"""De-identification's traps where an option keeps what the basic profile takes away, one by one."""

import struct
from datetime import date, datetime

import pydicom

from mdm_async.dicom.profile import Profile
from mdm_async.dicom.pseudonym import Pseudonyms
from tests.pipeline import KEY, deidentified, read

SECRET = b"SECRET^WOMAN"
STANDARD = "1.2.840.10008.5.1.4.1.1."
OTHER_KEY = bytes(32)
DATES = Profile("dates", options=frozenset({"retain_longitudinal_modified_dates"}))
GRAPHICS = Profile("graphics", options=frozenset({"clean_graphics"}))
REPORTS = Profile("reports", options=frozenset({"clean_structured_content"}))
SAFE = Profile("safe", options=frozenset({"retain_safe_private"}))


def test_trap_safe_private_attributes_by_creator_whatever_their_block(write):
    creator = write.element(0x70530042, "LO", b"Philips PET Private Group ")
    body = creator + write.element(0x70534200, "DS", b"1.25") + write.element(0x70534201, "LO", SECRET)
    body += write.element(0x70534300, "DS", b"4711")  # of nobody's block
    found = read(deidentified(write.file(write.sequence(0x00082218, body) + body), SAFE))
    for data in (found, found.AnatomicRegionSequence[0]):
        assert {int(one.tag) for one in data if one.tag.is_private} == {0x70530042, 0x70534200}
        assert data[0x70534200].value in (1.25, b"1.25")


def test_trap_clean_graphics_keeps_what_is_no_text(write):
    bitmap = bytes([0b1010_0101, 0, 0xFF, 0x81] * 2)
    for kind, kept in ((b"R", True), (b"G", False)):  # regions of interest; graphics may be drawn letters
        made = deidentified(write.file(overlay(write, kind, bitmap)), GRAPHICS)
        assert SECRET not in made
        assert (bitmap in made) is kept
        assert (0x60000010 in read(made)) is kept


def test_trap_clean_graphics_keeps_no_more_of_an_overlay_than_its_bits(write):
    for body in (
        overlay(write, b"R", bytes(8) + SECRET),
        write.element(0x60000040, "CS", b"R") + write.element(0x60003000, "OB", SECRET),  # no size is said
    ):
        assert SECRET not in deidentified(write.file(body), GRAPHICS)


def overlay(write, kind: bytes, bitmap: bytes) -> bytes:
    numbers = {0x60000010: 8, 0x60000011: 8, 0x60000100: 1, 0x60000102: 0}
    body = {tag: write.element(tag, "US", struct.pack("<H", value)) for tag, value in numbers.items()}
    body |= {tag: write.element(tag, vr, SECRET) for tag, vr in ((0x60000022, "LO"), (0x60004000, "LT"))}
    body[0x60000040] = write.element(0x60000040, "CS", kind)
    body[0x60003000] = write.element(0x60003000, "OB", bitmap)
    return b"".join(body[tag] for tag in sorted(body))


def report(write) -> bytes:
    def item(kind: bytes, value: bytes) -> bytes:
        return write.element(0x0040A040, "CS", kind) + value

    reference = write.element(0x00081150, "UI", f"{STANDARD}2".encode()) + write.element(
        0x00081155, "UI", b"1.2.9"
    )
    inner = item(b"TEXT", write.element(0x0040A160, "UT", SECRET))
    return write.sequence(
        0x0040A730,
        item(b"TEXT", write.element(0x0040A160, "UT", SECRET)),
        item(b"PNAME", write.element(0x0040A123, "PN", SECRET)),
        item(b"DATE", write.element(0x0040A121, "DA", b"20200229")),
        item(b"DATETIME", write.element(0x0040A120, "DT", b"20200229101112")),
        item(b"TIME", write.element(0x0040A122, "TM", b"101112")),
        item(b"UIDREF", write.element(0x0040A124, "UI", b"1.2.9")),
        item(b"IMAGE", write.sequence(0x00081199, reference)),
        item(b"CONTAINER", write.sequence(0x0040A730, inner)),
    )


def test_trap_structured_reports_that_are_cleaned(write):
    made = deidentified(write.file(report(write)), REPORTS)
    assert SECRET not in made
    assert b"20200229" not in made
    items = {one.ValueType: one for one in read(made).ContentSequence}
    assert set(items) == {"TEXT", "PNAME", "DATE", "DATETIME", "TIME", "UIDREF", "IMAGE", "CONTAINER"}
    assert items["IMAGE"].ReferencedSOPSequence[0].ReferencedSOPInstanceUID == items["UIDREF"].UID
    assert Pseudonyms(KEY).uid("1.2.9") == items["UIDREF"].UID
    assert items["IMAGE"].ReferencedSOPSequence[0].ReferencedSOPClassUID == f"{STANDARD}2"
    assert items["CONTAINER"].ContentSequence[0].ValueType == "TEXT"


def test_trap_dates_and_times_moved_by_whole_days(write):
    def of(patient: bytes, key: bytes = KEY) -> pydicom.Dataset:
        body = write.element(0x00080020, "DA", b"20200228") + write.element(0x00080021, "DA", b"20200301")
        body += write.element(0x0008002A, "DT", b"20200228235917.123456+0130")
        body += write.element(0x00080030, "TM", b"235917.123456") + write.element(0x00100020, "LO", patient)
        body += write.element(0x00189074, "DT", b"2020")
        return read(deidentified(write.file(body), DATES, key))

    found, same, other = of(b"4711"), of(b"4711 "), of(b"4712")
    moved = day(found.StudyDate) - date(2020, 2, 28)
    assert moved.days != 0
    assert (day(found.SeriesDate) - day(found.StudyDate)).days == 2
    assert day(found.AcquisitionDateTime) - day(found.StudyDate) == date.resolution * 0
    assert str(found.AcquisitionDateTime)[8:] == "235917.123456+0130"
    assert found.StudyTime == "235917.123456"
    assert len(str(found.FrameAcquisitionDateTime)) <= 4 or "2020" not in str(found.FrameAcquisitionDateTime)
    assert same.StudyDate == found.StudyDate
    assert len({found.StudyDate, other.StudyDate, of(b"4711", OTHER_KEY).StudyDate}) == 3
    assert found.LongitudinalTemporalInformationModified == "MODIFIED"


def day(value: str) -> date:
    return datetime.strptime(str(value)[:8], "%Y%m%d").date()
