"""Rejection notes as tests have them: Key Object Selections by pydicom."""

import io
from collections.abc import Iterable
from typing import Any

from pydicom import Dataset, FileDataset
from pydicom.dataset import FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, generate_uid

from tests.pacs.devices import Image

KEY_OBJECTS = "1.2.840.10008.5.1.4.1.1.88.59"
QUALITY, SAFETY, WORKLIST, RETENTION = CODES = (113001, 113037, 113038, 113039)


def note(rejected: Iterable[Image], code: int = QUALITY, scheme: str = "DCM", **values: Any) -> Image:
    """One that names these instances, of one study, and is of their patient."""
    of = [one.read for one in rejected]
    made = FileDataset("", {}, preamble=b"\0" * 128)
    made.SOPClassUID, made.SOPInstanceUID = KEY_OBJECTS, generate_uid()
    made.StudyInstanceUID, made.SeriesInstanceUID = of[0].StudyInstanceUID, generate_uid()
    made.PatientID, made.PatientName = of[0].PatientID, of[0].PatientName
    made.Modality, made.SeriesNumber, made.InstanceNumber = "KO", 1, 1
    made.ContentDate, made.ContentTime = "20260102", "030405"
    made.ValueType, made.ContinuityOfContent = "CONTAINER", "SEPARATE"
    made.ConceptNameCodeSequence = [
        item(CodeValue=str(code), CodingSchemeDesignator=scheme, CodeMeaning="note")
    ]
    series: dict[str, list[Dataset]] = {}
    for one in of:
        named = item(ReferencedSOPClassUID=one.SOPClassUID, ReferencedSOPInstanceUID=one.SOPInstanceUID)
        series.setdefault(one.SeriesInstanceUID, []).append(named)
    named_series = [item(SeriesInstanceUID=uid, ReferencedSOPSequence=named) for uid, named in series.items()]
    made.CurrentRequestedProcedureEvidenceSequence = [
        item(StudyInstanceUID=of[0].StudyInstanceUID, ReferencedSeriesSequence=named_series)
    ]
    for keyword, value in values.items():
        setattr(made, keyword, value)
    made.file_meta = FileMetaDataset()
    made.file_meta.MediaStorageSOPClassUID = KEY_OBJECTS
    made.file_meta.MediaStorageSOPInstanceUID = made.SOPInstanceUID
    made.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    written = io.BytesIO()
    made.save_as(written, enforce_file_format=True)
    return Image(written.getvalue())


def item(**values: Any) -> Dataset:
    made = Dataset()
    for keyword, value in values.items():
        setattr(made, keyword, value)
    return made
