"""A study scrubbed file by file, each in a process of its own, still hangs together; two projects' do not."""

import io
import subprocess
import sys
from datetime import datetime

import pydicom
import pytest
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.sequence import Sequence
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian, ImplicitVRLittleEndian, RTStructureSetStorage

from mdm_async.dicom.profile import Profile, basic
from tests.pipeline import read

MODIFIED = "retain_longitudinal_modified_dates"
MINE, THEIRS = bytes(range(32)), bytes(32)
SCRUB = """
import sys
from mdm_async.dicom.profile import Profile, basic
from tests.pipeline import deidentified
key, options = bytes.fromhex(sys.argv[1]), frozenset(sys.argv[2:])
profile = Profile("linkage", options=options) if options else basic()
sys.stdout.buffer.write(deidentified(sys.stdin.buffer.read(), profile, key))
"""
PATIENT = ("PatientID", "PatientName")
STUDY = ("StudyInstanceUID", "AccessionNumber", "StudyID")
SERIES = ("SeriesInstanceUID", "FrameOfReferenceUID")


def written(data: Dataset, syntax: str) -> bytes:
    data.file_meta = FileMetaDataset()
    data.file_meta.TransferSyntaxUID = syntax
    data.file_meta.MediaStorageSOPClassUID = data.SOPClassUID
    data.file_meta.MediaStorageSOPInstanceUID = data.SOPInstanceUID
    out = io.BytesIO()
    pydicom.dcmwrite(out, data, enforce_file_format=True)
    return out.getvalue()


def of_the_study(sop_class: str, instance: str, series: str, date: str) -> Dataset:
    data = Dataset()
    data.SpecificCharacterSet = "ISO_IR 100"
    data.SOPClassUID, data.SOPInstanceUID = sop_class, instance
    data.StudyDate, data.SeriesDate, data.AcquisitionDateTime = "20240228", date, f"{date}101112.5+0100"
    data.StudyTime = "101112"
    data.AccessionNumber, data.StudyID = "A-17", "S1"
    data.PatientName, data.PatientID, data.PatientBirthDate = "Doe^Jane", "4711", "19700101"
    data.StudyInstanceUID, data.SeriesInstanceUID = "1.2.3.1", series
    data.FrameOfReferenceUID = "1.2.3.4"
    return data


@pytest.fixture(scope="module")
def study() -> list[bytes]:
    """Two slices, the second in implicit VR and with a padded Patient ID, and the structures drawn on them."""
    first = of_the_study(CTImageStorage, "1.2.3.10.1", "1.2.3.2", "20240228")
    second = of_the_study(CTImageStorage, "1.2.3.10.2", "1.2.3.2", "20240301")
    second.PatientID = "4711 "
    source = Dataset()
    source.ReferencedSOPClassUID, source.ReferencedSOPInstanceUID = CTImageStorage, "1.2.3.10.1"
    second.SourceImageSequence = Sequence([source])
    structures = of_the_study(RTStructureSetStorage, "1.2.3.10.3", "1.2.3.3", "20240305")
    roi, frame, contour, image = Dataset(), Dataset(), Dataset(), Dataset()
    roi.ROINumber, roi.ReferencedFrameOfReferenceUID, roi.ROIName = 1, "1.2.3.4", "Doe's tumour"
    frame.FrameOfReferenceUID = "1.2.3.4"
    image.ReferencedSOPClassUID, image.ReferencedSOPInstanceUID = CTImageStorage, "1.2.3.10.2"
    contour.ContourImageSequence = Sequence([image])
    drawn = Dataset()
    drawn.ReferencedROINumber, drawn.ContourSequence = 1, Sequence([contour])
    structures.StructureSetROISequence = Sequence([roi])
    structures.ReferencedFrameOfReferenceSequence = Sequence([frame])
    structures.ROIContourSequence = Sequence([drawn])
    syntaxes = (ExplicitVRLittleEndian, ImplicitVRLittleEndian, ExplicitVRLittleEndian)
    return [written(data, syntax) for data, syntax in zip((first, second, structures), syntaxes, strict=True)]


def scrubbed(files: list[bytes], key: bytes, *options: str) -> list[Dataset]:
    """Each by a fresh interpreter, in the order of the files."""
    command = [sys.executable, "-c", SCRUB, key.hex(), *options]
    running = [subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) for _ in files]
    outs = [one.communicate(data, timeout=60)[0] for one, data in zip(running, files, strict=True)]
    assert [one.returncode for one in running] == [0] * len(files)
    return [read(out) for out in outs]


@pytest.fixture(scope="module")
def mine(study) -> list[Dataset]:
    return scrubbed(study, MINE)


def test_patient_study_and_series_stay_together(mine):
    for keyword in PATIENT + STUDY + ("FrameOfReferenceUID",):
        (agreed,) = {str(one[keyword].value) for one in mine}
        assert agreed
    series = [one.SeriesInstanceUID for one in mine]
    assert series[0] == series[1] != series[2]
    assert len({one.SOPInstanceUID for one in mine}) == 3


def test_references_between_files_and_inside_of_them_still_resolve(mine):
    first, second, structures = mine
    assert second.SourceImageSequence[0].ReferencedSOPInstanceUID == first.SOPInstanceUID
    drawn = structures.ROIContourSequence[0].ContourSequence[0].ContourImageSequence[0]
    assert drawn.ReferencedSOPInstanceUID == second.SOPInstanceUID
    assert drawn.ReferencedSOPClassUID == CTImageStorage
    roi, frame = structures.StructureSetROISequence[0], structures.ReferencedFrameOfReferenceSequence[0]
    assert roi.ReferencedFrameOfReferenceUID == frame.FrameOfReferenceUID == first.FrameOfReferenceUID


def test_nothing_agrees_between_two_projects(study, mine):
    theirs = scrubbed(study, THEIRS)
    uids = PATIENT + STUDY + SERIES + ("SOPInstanceUID",)
    values = [{str(one[keyword].value) for one in files for keyword in uids} for files in (mine, theirs)]
    assert values[0].isdisjoint(values[1])


def test_intervals_stay_under_modified_dates(study):
    mine, theirs = (scrubbed(study, key, MODIFIED) for key in (MINE, THEIRS))
    for files in (mine, theirs):
        assert [(day(one.SeriesDate) - day(files[0].SeriesDate)).days for one in files] == [0, 2, 6]
        assert all(day(one.SeriesDate) == day(one.AcquisitionDateTime) for one in files)
        assert len({one.StudyDate for one in files}) == 1
        assert all(str(one.AcquisitionDateTime)[8:] == "101112.5+0100" for one in files)
    dates = {files[0].StudyDate for files in (mine, theirs)}
    assert len(dates) == 2
    assert "20240228" not in dates


def day(value: str) -> datetime:
    return datetime.strptime(str(value)[:8], "%Y%m%d")


def test_profiles_of_one_project_agree(study, mine):
    """Pseudonyms depend on the key alone: what another profile makes of a study can be joined inside a project."""
    again = scrubbed(study, MINE, MODIFIED)
    for keyword in PATIENT + STUDY + SERIES + ("SOPInstanceUID",):
        assert [one[keyword].value for one in again] == [one[keyword].value for one in mine]
    assert Profile("linkage").digest == basic().digest
