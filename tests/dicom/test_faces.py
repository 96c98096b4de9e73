"""Slices of heads get a warning, or go into quarantine where the profile says so."""

from dataclasses import replace

import pytest
from pydicom import Dataset

from mdm_async.dicom.pixels.plan import ORIGINAL
from mdm_async.dicom.profile import Profile, basic
from mdm_async.dicom.profiles.file import dump_profile, parse_profile
from mdm_async.dicom.scrub import scrub
from mdm_async.errors import BadRequest, ScrubRefused
from tests.dicom.test_burned_in import CT, MR, STORAGE, picture, refusal
from tests.pipeline import KEY, cut, plan_of, read

KEEPING = Profile("p", faces="quarantine")


def warnings(data: bytes, profile: Profile | None = None) -> str:
    parts = cut(data)
    made = scrub(parts.head, parts.tail, profile=profile or basic(), key=KEY, pixels=parts.facts)
    return "; ".join(made.warnings)


def region(value: str, scheme: str) -> list[Dataset]:
    code = Dataset()
    code.CodeValue, code.CodingSchemeDesignator, code.CodeMeaning = value, scheme, "x"
    return [code]


def frame_anatomy(value: str) -> list[Dataset]:
    groups, anatomy = Dataset(), Dataset()
    anatomy.AnatomicRegionSequence = region(value, "SCT")
    groups.FrameAnatomySequence = [anatomy]
    return [groups]


HEADS = {
    "BodyPartExamined": [{"BodyPartExamined": "HEAD"}, {"BodyPartExamined": "BRAIN"}],
    "AnatomicRegionSequence": [
        {"AnatomicRegionSequence": region("69536005", "SCT")},
        {"AnatomicRegionSequence": region("T-A0100", "SRT")},
        {"sop_class": STORAGE + "2.1", "SharedFunctionalGroupsSequence": frame_anatomy("12738006")},
        {"sop_class": STORAGE + "4.1", "PerFrameFunctionalGroupsSequence": frame_anatomy("89545001")},
    ],
    "SeriesDescription": [
        {"SeriesDescription": "t1_mprage_sag"},
        {"SeriesDescription": "Kopf nativ"},
        {"SeriesDescription": "CT Schädel 1.0"},
        {"SeriesDescription": "HEAD/NECK"},
    ],
    "StudyDescription": [{"StudyDescription": "MR Brain w/o contrast"}],
    "ProtocolName": [{"ProtocolName": "01_Neuro^Stroke"}],
    "RecognizableVisualFeatures": [{"RecognizableVisualFeatures": "YES"}],
}
ALL_HEADS = [(keyword, said) for keyword, every in HEADS.items() for said in every]


@pytest.mark.parametrize(("keyword", "said"), ALL_HEADS)
def test_slices_of_heads_get_a_warning_or_go_into_quarantine(keyword, said):
    data = picture(**({"SpecificCharacterSet": "ISO_IR 192", "Modality": "MR"} | said))
    assert warnings(data) == f"slices of a head, in which a face can be recognised (by {keyword})"
    with pytest.raises(ScrubRefused, match="a face can be recognised") as refused:
        warnings(data, KEEPING)
    assert refused.value.quarantined


@pytest.mark.parametrize(
    "said",
    [
        {"BodyPartExamined": "CHEST", "SeriesDescription": "Thorax, ahead of surgery"},
        {"BodyPartExamined": "KNEE"},
        {"AnatomicRegionSequence": region("51185008", "SCT")},
        {"BodyPartExamined": "HEAD", "RecognizableVisualFeatures": "NO"},
        {"sop_class": STORAGE + "1.1", "Modality": "DX", "BodyPartExamined": "SKULL"},
        {},
    ],
)
def test_other_pictures_get_none(said):
    assert warnings(picture(**said)) == ""
    assert refusal(picture(**said), KEEPING) == ""


@pytest.mark.parametrize("sop_class", [CT, MR])
def test_what_a_person_has_let_out_is_still_warned_of(sop_class):
    parts = cut(picture(sop_class, BodyPartExamined="HEAD"))
    made = scrub(parts.head, parts.tail, profile=KEEPING, key=KEY, pixels=parts.facts, released=True)
    assert made.warnings


def test_one_of_two_elements_is_enough_and_so_is_one_after_the_pixels(write):
    head, chest = (write.element(0x00180015, "CS", one) for one in (b"HEAD", b"CHEST"))
    plain = picture()
    at = plain.index(b"\x28\x00\x02\x00US")
    for data in (
        plain[:at] + head + chest + plain[at:],
        plain[:at] + chest + head + plain[at:],
        plain + head,
    ):
        assert "BodyPartExamined" in warnings(data)


HOOKED = Profile("p", faces="hook", face_hook="deface")


def test_a_hook_is_asked_about_heads_alone_and_what_it_does_is_said():
    head, chest = picture(BodyPartExamined="HEAD", RecognizableVisualFeatures=""), picture()
    planned = plan_of(cut(head), HOOKED)
    assert (planned.hook, planned.whole) == ("deface", True)
    assert planned.variant not in (ORIGINAL, plan_of(cut(head), replace(HOOKED, face_hook="other")).variant)
    assert plan_of(cut(chest), HOOKED).variant == ORIGINAL
    parts = cut(head)
    made = scrub(parts.head, parts.tail, profile=HOOKED, key=KEY, pixels=parts.facts)
    found = read(made.head)
    assert found.RecognizableVisualFeatures == "NO"
    assert [code.CodeValue for code in found.DeidentificationMethodCodeSequence] == ["113100", "113102"]
    assert made.warnings == ()
    assert "RecognizableVisualFeatures" not in read(
        scrub(cut(chest).head, b"", profile=HOOKED, key=KEY, pixels=parts.facts).head
    )


def test_heads_that_only_their_frames_tell_of_are_refused_since_no_hook_is_asked():
    data = picture(STORAGE + "2.1", SharedFunctionalGroupsSequence=frame_anatomy("12738006"))
    assert "without what tells the hook" in refusal(data, HOOKED)


def test_pixels_that_are_no_whole_samples_are_not_given_to_a_hook():
    bits = picture(BodyPartExamined="HEAD", BitsAllocated=1, BitsStored=1, HighBit=0, PixelData=b"\1\0")
    assert "cannot be given to a hook" in refusal(bits, HOOKED)


def test_a_profile_names_a_hook():
    assert parse_profile('name = "p"\nfaces = { hook = "deface" }') == replace(HOOKED, project="p")
    assert parse_profile(dump_profile(HOOKED)).face_hook == "deface"


@pytest.mark.parametrize(
    "said", ['{ hook = "/bin/sh" }', "{ hook = 7 }", "{}", '{ hook = "a", command = ["x"] }', '"hook"', "[]"]
)
def test_a_profile_can_only_name_it(said):
    with pytest.raises(BadRequest, match="faces"):
        parse_profile(f'name = "p"\nfaces = {said}')
