"""What depends on the pixels is said once they are known: the codes, Burned In Annotation, refusal or quarantine."""

import pickle

import pytest

from mdm_async.dicom.pixels.plan import PixelEdits
from mdm_async.dicom.profile import Action, PixelRule, Profile, Region, basic
from mdm_async.dicom.profiles.reviewed import reviewed
from mdm_async.dicom.pseudonym import Pseudonyms
from mdm_async.dicom.scrub import PixelFacts, Touched, begin, finish, scrub
from mdm_async.errors import ScrubRefused
from tests.pipeline import read

KEY = bytes(range(32))
NO_PIXELS = PixelFacts(False, 0, False, ())
FRAME = PixelFacts(True, 4, False, ())
ULTRASOUND = "6.1"


def frame(write, *, burned_in: bytes = b"", modality: bytes = b"US") -> bytes:
    """A head of one frame of two pixels by two."""
    body = write.element(0x00080060, "CS", modality) + write.element(0x00280002, "US", b"\1\0")
    body += write.element(0x00280004, "CS", b"MONOCHROME2")
    for tag, number in ((0x0010, 2), (0x0011, 2), (0x0100, 8), (0x0101, 8), (0x0102, 7), (0x0103, 0)):
        body += write.element(0x00280000 | tag, "US", bytes([number, 0]))
    return body + (write.element(0x00280301, "CS", burned_in) if burned_in else b"")


def codes(found) -> list[str]:
    return [one.CodeValue for one in found.DeidentificationMethodCodeSequence]


def test_begin_and_finish_are_scrub_and_what_is_begun_can_travel(write):
    data = write.file(frame(write, burned_in=b"NO"))
    tail = write.element(0xFFFCFFFC, "OB", b"pad ") + write.element(0x7FE11001, "LO", b"x")
    whole = scrub(data, tail, profile=basic(), key=KEY, pixels=FRAME)
    begun = pickle.loads(pickle.dumps(begin(data, profile=basic(), key=KEY)))
    for _ in range(2):
        assert finish(begun, tail, profile=basic(), key=KEY, pixels=FRAME) == whole
    assert read(whole.head).BurnedInAnnotation == "NO"
    assert codes(read(whole.head)) == ["113100"]
    assert whole.tail == b""


def test_cleaned_pixels_are_said_to_be(write):
    regions = Profile("us", pixel_rules=(PixelRule(((0x00080060, "US"),), (Region(0, 0, 2, 1),)),))
    for burned_in in (b"", b"YES", b"NO"):
        data = write.file(frame(write, burned_in=burned_in), sop_class=ULTRASOUND)
        found = read(scrub(data, b"", profile=regions, key=KEY, pixels=FRAME).head)
        assert codes(found) == ["113100", "113101"]
        assert found.BurnedInAnnotation == "NO"
        tags = [int(tag) for tag in found.keys()]  # noqa: SIM118
        assert tags == sorted(tags)


def test_cutting_excess_bytes_says_nothing_of_what_is_burned_in(write):
    data = write.file(frame(write, modality=b"MR"))
    found = read(scrub(data, b"", profile=basic(), key=KEY, pixels=PixelFacts(True, 40, False, ())).head)
    assert codes(found) == ["113100"]
    assert "BurnedInAnnotation" not in found


def test_without_pixels_nothing_is_said_of_them(write):
    regions = Profile("us", pixel_rules=(PixelRule(((0x00080060, "US"),), (Region(0, 0, 2, 1),)),))
    data = write.file(frame(write), sop_class=ULTRASOUND)
    assert codes(read(scrub(data, b"", profile=regions, key=KEY, pixels=NO_PIXELS).head)) == ["113100"]


def test_what_a_person_may_lift_is_quarantined_only_if_the_profile_says_so(write):
    data = write.file(frame(write, burned_in=b"YES"))
    kept_back = Profile("us", burned_in="quarantine")
    for profile, quarantined in ((kept_back, True), (basic(), False)):
        with pytest.raises(ScrubRefused, match="Burned In Annotation is YES") as refused:
            scrub(data, b"", profile=profile, key=KEY, pixels=FRAME)
        assert refused.value.quarantined is quarantined
        assert pickle.loads(pickle.dumps(refused.value)).quarantined is quarantined
    made = scrub(data, b"", profile=kept_back, key=KEY, pixels=FRAME, released=True)
    assert read(made.head).BurnedInAnnotation == "YES"


def test_nobody_lifts_the_other_reasons(write):
    data = write.file(frame(write, burned_in=b"YES"), sop_class="9.4.1")
    kept_back = Profile("us", burned_in="quarantine")
    with pytest.raises(ScrubRefused, match="voice") as refused:
        scrub(data, b"", profile=kept_back, key=KEY, pixels=FRAME)
    assert refused.value.quarantined is False
    with pytest.raises(ScrubRefused, match=r"^a voice recording is an identifying payload$"):
        scrub(data, b"", profile=kept_back, key=KEY, pixels=FRAME, released=True)
    with pytest.raises(ScrubRefused, match="Burned In Annotation is YES"):
        scrub(data, b"", profile=basic(), key=KEY, pixels=FRAME, released=True)


def test_burned_in_annotation_after_the_pixels_counts_and_is_moved_to_its_place(write):
    no, yes = (write.element(0x00280301, "CS", value) for value in (b"NO", b"YES"))
    data = write.file(frame(write))
    with pytest.raises(ScrubRefused, match="is YES"):
        scrub(data, yes, profile=basic(), key=KEY, pixels=FRAME)
    made = scrub(data, no, profile=basic(), key=KEY, pixels=FRAME)
    assert (read(made.head).BurnedInAnnotation, made.tail) == ("NO", b"")


def test_decoded_pixels_are_described_anew(write):
    edits = PixelEdits(
        "1.2.840.10008.1.2.1", ((0x00280004, b"RGB "), (0x00280006, b"\0\0"), (0x00281101, b"\1\0\2\0\3\0"))
    )
    nested = write.sequence(0x00540220, write.element(0x00280004, "CS", b"MONOCHROME2"))
    data = write.file(frame(write, modality=b"MR") + nested, "1.2.840.10008.1.2.4.50")
    begun = begin(data, profile=basic(), key=KEY, edits=edits)
    assert begun.transfer_syntax == "1.2.840.10008.1.2.4.50"
    found = read(finish(begun, b"", profile=basic(), key=KEY, pixels=PixelFacts(True, 9, True, ())).head)
    assert found.file_meta.TransferSyntaxUID == "1.2.840.10008.1.2.1"
    assert (found.PhotometricInterpretation, found.PlanarConfiguration) == ("RGB", 0)
    assert found.RedPaletteColorLookupTableDescriptor == [1, 2, 3]
    assert found.ViewCodeSequence[0].PhotometricInterpretation == "MONOCHROME2"
    tags = [int(tag) for tag in found.keys()]  # noqa: SIM118
    assert tags == sorted(set(tags))


def test_retained_uids_stay_in_the_meta_too(write):
    retained = Profile("uids", options=frozenset({"retain_uids"}))
    found = read(scrub(write.file(b""), b"", profile=retained, key=KEY, pixels=NO_PIXELS).head)
    assert found.SOPInstanceUID == found.file_meta.MediaStorageSOPInstanceUID == "1.2.3.4.5"


def test_a_sites_own_value_is_written_whatever_was_there(write):
    site = (
        (0x00081030, Action.DUMMY, "Study"),
        (0x00100020, Action.DUMMY, "X1"),
        (0x00400555, Action.CLEAN, None),
    )
    for old in (b"CT of MEYER", b""):
        body = write.element(0x00081030, "LO", old) + write.element(0x00100020, "LO", b"17")
        text = write.element(0x0040A160, "UT", b"head of MEYER")
        body += write.sequence(0x00400555, text)
        found = read(
            scrub(write.file(body), b"", profile=Profile("s", site=site), key=KEY, pixels=NO_PIXELS).head
        )
        assert (found.StudyDescription, found.PatientID) == ("Study", "X1")
        assert found.AcquisitionContextSequence[0].TextValue == "REMOVED"


def test_the_report_counts_what_was_done_and_never_says_what_was_there(write):
    name = write.element(0x00100010, "PN", b"MEYER^HANS")
    body = write.element(0x00080020, "DA", b"20240101") + write.sequence(0x00082218, name, name)
    body += name + write.element(0x00091001, "LO", b"MEYER") + write.element(0x00101030, "DS", b"80")
    profile = Profile("report", options=frozenset({"retain_patient_characteristics"}))
    made = scrub(write.file(body), name, profile=profile, key=KEY, pixels=NO_PIXELS)
    assert "MEYER" not in repr(made)
    assert made.touched == (
        Touched("(0008,0018)", "SOP Instance UID", "U", "PS3.15 basic", 1),
        Touched("(0008,0020)", "Study Date", "Z", "PS3.15 basic", 1),
        Touched("(0010,0010)", "Patient's Name", "Z", "PS3.15 basic", 4),
        Touched("private", "", "X", "PS3.15 basic", 1),
    )
    assert made.stayed == (
        Touched("(0008,0016)", "SOP Class UID", "K", f"reviewed: {reviewed()[0x00080016].reason}", 1),
        Touched("(0008,2218)", "Anatomic Region Sequence", "K", "by VR", 1),
        Touched("(0010,1030)", "Patient's Weight", "K", "option retain_patient_characteristics", 1),
    )


def test_two_projects_have_nothing_in_common(write):
    body = write.element(0x00080020, "DA", b"20240101") + write.element(0x00100020, "LO", b"17")
    dates = Profile("dates", options=frozenset({"retain_longitudinal_modified_dates"}))
    one, other = (
        read(scrub(write.file(body), b"", profile=dates, key=key, pixels=NO_PIXELS).head)
        for key in (KEY, b"another key of 32 bytes.........")
    )
    assert one.StudyDate != other.StudyDate
    assert one.PatientID != other.PatientID
    assert one.PatientID == Pseudonyms(KEY).identifier("patient", b"17").decode()
