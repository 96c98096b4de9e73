"""Whole files with videos: served when nothing but the picture is left, refused otherwise; hostile ones do no harm."""

import io

import pydicom
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydicom.dataset import FileMetaDataset
from pydicom.encaps import encapsulate
from pydicom.uid import UID

from mdm_async.dicom.pixels.inspector import can_be_cleaned
from mdm_async.dicom.profile import Profile
from mdm_async.dicom.profiles.file import parse_profile
from mdm_async.errors import ScrubRefused
from tests.dicom.made_videos import CLEAN, cleaned, looked_into, stream, syntax
from tests.pipeline import deidentified, read

TRUSTED = parse_profile('name = "video"\n[[pixels]]\nwhen = { Manufacturer = "ACME" }\ntrust = true')
BLANKED = parse_profile(
    'name = "video"\n[[pixels]]\nwhen = { Manufacturer = "ACME" }\nblank = [[0, 0, 9, 9]]'
)


def endoscopy(name: str, *, burned_in: str | None = "NO", video: bytes | None = None) -> bytes:
    """A Video Endoscopic Image (PS3.3 §A.32.5)."""
    ds = pydicom.Dataset()
    ds.file_meta = FileMetaDataset()
    ds.file_meta.TransferSyntaxUID = UID(syntax(name))
    ds.file_meta.MediaStorageSOPClassUID = ds.SOPClassUID = "1.2.840.10008.5.1.4.1.1.77.1.1.1"
    ds.file_meta.MediaStorageSOPInstanceUID = ds.SOPInstanceUID = "1.2.3.4.5"
    ds.StudyInstanceUID, ds.SeriesInstanceUID = "1.2.3.4", "1.2.3.4.1"
    ds.PatientName, ds.PatientID, ds.Modality, ds.Manufacturer = "DOE^JANE", "4711", "ES", "ACME"
    ds.Rows, ds.Columns, ds.NumberOfFrames, ds.SamplesPerPixel = 48, 64, 5, 3
    ds.BitsAllocated, ds.BitsStored, ds.HighBit, ds.PixelRepresentation = 8, 8, 7, 0
    ds.PhotometricInterpretation, ds.PlanarConfiguration = "YBR_PARTIAL_420", 0
    if burned_in is not None:
        ds.BurnedInAnnotation = burned_in
    ds.PixelData = encapsulate([video if video is not None else stream(name)], has_bot=False)
    ds["PixelData"].is_undefined_length = True
    file = io.BytesIO()
    ds.save_as(file, enforce_file_format=True)
    return file.getvalue()


@pytest.mark.parametrize("name", CLEAN)
def test_the_view_of_a_video_is_its_picture(name: str) -> None:
    view = deidentified(endoscopy(name))
    assert not [word for word in (b"DOE", b"MRN", b"x26", b"Lav") if word in view]
    assert cleaned(stream(name), syntax(name)) in read(view).PixelData


@pytest.mark.parametrize(
    ("name", "burned_in", "profile", "reason"),
    [
        ("avc.mp4", None, Profile("video"), "visible light"),
        ("avc.mp4", "YES", Profile("video"), "Burned In Annotation"),
        ("sound.mp4", "NO", Profile("video"), "an audio track in the video"),
        ("avc.mp4", None, BLANKED, "regions of a video cannot be blanked"),
    ],
)
def test_a_video_with_more_than_its_picture_is_refused(
    name: str, burned_in: str | None, profile: Profile, reason: str
) -> None:
    with pytest.raises(ScrubRefused, match=reason):
        deidentified(endoscopy(name, burned_in=burned_in), profile)


def test_a_trusted_device_may_leave_open_whether_text_is_burned_in() -> None:
    assert b"DOE" not in deidentified(endoscopy("avc.ts", burned_in=None), TRUSTED)


@settings(max_examples=300)
@given(
    name=st.sampled_from([*CLEAN, "sound.mp4", "sound.ts", "timecode.mov", "fragmented.mp4"]),
    edits=st.lists(
        st.tuples(st.floats(0, 1), st.integers(0, 30), st.binary(max_size=30)), min_size=1, max_size=4
    ),
    piece=st.sampled_from([200, 1 << 16]),
)
def test_whatever_a_stream_holds_it_is_cleaned_for_good_or_refused(
    name: str, edits: list[tuple[float, int, bytes]], piece: int
) -> None:
    video = stream(name)
    for where, count, by in edits:
        at = int(where * len(video))
        video = video[:at] + by + video[at + count :]
    found = looked_into(video, syntax(name), piece=piece)
    clean = cleaned(video, syntax(name), piece=piece)
    assert len(clean) == len(video)
    if all(map(can_be_cleaned, found)):
        assert looked_into(clean, syntax(name)) == ()
