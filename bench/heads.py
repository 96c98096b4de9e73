"""Heads to scrub: of a typical CT, and of an enhanced image of many frames. The same bytes every time."""

import struct
from functools import cache

from pydicom.datadict import dictionary_VR, tag_for_keyword

from tests.canary_values import EXPLICIT

_CT, _ENHANCED_CT = b"1.2.840.10008.5.1.4.1.1.2", b"1.2.840.10008.5.1.4.1.1.2.1"
_ROOT = "1.2.826.0.1.3680043.8.498.77."
_TEXTS: dict[str, str] = {
    **dict.fromkeys(
        ("StudyDate", "SeriesDate", "AcquisitionDate", "ContentDate", "DateOfLastCalibration"), "20240229"
    ),
    **dict.fromkeys(
        ("StudyTime", "SeriesTime", "AcquisitionTime", "ContentTime", "TimeOfLastCalibration"), "101112.5"
    ),
    **dict.fromkeys(
        ("InstanceCreationDate", "PerformedProcedureStepStartDate", "PatientBirthDate"), "20240229"
    ),
    **dict.fromkeys(("InstanceCreationTime", "PerformedProcedureStepStartTime"), "101112"),
    "AcquisitionDateTime": "20240229101112.5",
    "SpecificCharacterSet": "ISO_IR 100",
    "ImageType": "ORIGINAL\\PRIMARY\\AXIAL\\CT_SOM5 SPI",
    "AccessionNumber": "ACC-4711-0815",
    "Modality": "CT",
    "Manufacturer": "Maker of Scanners",
    "InstitutionName": "Hospital of Nowhere",
    "InstitutionAddress": "1 Long Street, Nowhere",
    "ReferringPhysicianName": "REFERRING^PHYSICIAN^^DR",
    "StationName": "CT01",
    "StudyDescription": "Thorax^1_Routine (Adult)",
    "SeriesDescription": "Thorax 1.5 B31f",
    "InstitutionalDepartmentName": "Radiology",
    "PerformingPhysicianName": "PERFORMING^PHYSICIAN",
    "OperatorsName": "OPERATOR^ONE",
    "ManufacturerModelName": "Scanner 64",
    "PatientName": "NOBODY^AT^ALL",
    "PatientID": "NN-0815-4711",
    "PatientSex": "O",
    "PatientAge": "074Y",
    "PatientSize": "1.7",
    "PatientWeight": "70",
    "PatientAddress": "2 Short Street, Nowhere",
    "AdditionalPatientHistory": "cough",
    "BodyPartExamined": "CHEST",
    "SliceThickness": "1.5",
    "KVP": "120",
    "DataCollectionDiameter": "500",
    "DeviceSerialNumber": "55555",
    "SoftwareVersions": "syngo CT 2024A",
    "ProtocolName": "1_ThoraxRoutine",
    "ReconstructionDiameter": "330",
    "DistanceSourceToDetector": "1040",
    "DistanceSourceToPatient": "570",
    "GantryDetectorTilt": "0",
    "TableHeight": "137",
    "RotationDirection": "CW",
    "ExposureTime": "500",
    "XRayTubeCurrent": "200",
    "Exposure": "100",
    "FilterType": "FLAT",
    "GeneratorPower": "24",
    "FocalSpots": "1.2",
    "ConvolutionKernel": "B31f",
    "PatientPosition": "HFS",
    "StudyID": "S-99",
    "SeriesNumber": "3",
    "AcquisitionNumber": "2",
    "InstanceNumber": "17",
    "ImagePositionPatient": "-165\\-165\\-1200.5",
    "ImageOrientationPatient": "1\\0\\0\\0\\1\\0",
    "PositionReferenceIndicator": "",
    "SliceLocation": "-1200.5",
    "ImageComments": "none of note",
    "PhotometricInterpretation": "MONOCHROME2",
    "PixelSpacing": "0.64453125\\0.64453125",
    "WindowCenter": "40\\-600",
    "WindowWidth": "400\\1200",
    "WindowCenterWidthExplanation": "WINDOW1\\WINDOW2",
    "RescaleIntercept": "-1024",
    "RescaleSlope": "1",
    "RescaleType": "HU",
    "RequestingPhysician": "REQUESTING^PHYSICIAN",
    "RequestedProcedureDescription": "CT thorax",
    "PerformedProcedureStepID": "P-1",
    "PerformedProcedureStepDescription": "CT thorax plain",
    "PatientState": "",
    "LossyImageCompression": "00",
    "ContrastBolusAgent": "",
    "ScanOptions": "HELICAL",
}
_NUMBERS = {
    "SamplesPerPixel": 1,
    "Rows": 512,
    "Columns": 512,
    "BitsAllocated": 16,
    "BitsStored": 12,
    "HighBit": 11,
}
_UIDS = {
    "SOPInstanceUID": "3.17",
    "StudyInstanceUID": "1",
    "SeriesInstanceUID": "2.3",
    "FrameOfReferenceUID": "4",
}
_PRIVATE_ELEMENTS = 114
FRAMES, ENHANCED_SIZE = 20_000, int(11.5 * (1 << 20))


def _joined(elements: dict[int, bytes]) -> bytes:
    return b"".join(elements[tag] for tag in sorted(elements))


def _element(keyword: str, text: str) -> tuple[int, bytes]:
    tag = tag_for_keyword(keyword)
    assert tag is not None
    return tag, EXPLICIT.element(tag, dictionary_VR(tag)[:2], text.encode())


def _data_set(**texts: str) -> bytes:
    return _joined(dict(_element(keyword, text) for keyword, text in texts.items()))


def _sequence(keyword: str, *items: bytes, undefined: bool = False) -> tuple[int, bytes]:
    tag = tag_for_keyword(keyword)
    assert tag is not None
    return tag, EXPLICIT.sequence(tag, *items, undefined=undefined)


def _code(value: str, meaning: str) -> bytes:
    return _data_set(CodeValue=value, CodingSchemeDesignator="SCT", CodeMeaning=meaning)


def _reference(number: int) -> bytes:
    return _data_set(ReferencedSOPClassUID=_CT.decode(), ReferencedSOPInstanceUID=f"{_ROOT}3.{number}")


def _part10(sop_class: bytes, body: bytes) -> bytes:
    version = EXPLICIT.element(0x00020001, "OB", b"\0\1")
    meta = version + _joined(
        {
            0x00020002: EXPLICIT.element(0x00020002, "UI", sop_class),
            0x00020003: EXPLICIT.element(0x00020003, "UI", f"{_ROOT}3.17".encode()),
            0x00020010: EXPLICIT.element(0x00020010, "UI", b"1.2.840.10008.1.2.1"),
        }
    )
    return (
        bytes(128) + b"DICM" + EXPLICIT.element(0x00020000, "UL", struct.pack("<L", len(meta))) + meta + body
    )


def _described(sop_class: bytes) -> dict[int, bytes]:
    found = dict(_element(keyword, text) for keyword, text in _TEXTS.items())
    found |= dict(_element(keyword, _ROOT + text) for keyword, text in _UIDS.items())
    found |= dict(_element(keyword, text) for keyword, text in (("SOPClassUID", sop_class.decode()),))
    for keyword, number in _NUMBERS.items():
        tag = tag_for_keyword(keyword)
        assert tag is not None
        found[tag] = EXPLICIT.number(tag, number)
    return found


@cache
def typical_ct() -> bytes:
    """The head of a CT slice: about 255 elements, nested ones counted, a third of them private."""
    found = _described(_CT)
    references = [_reference(number) for number in range(1, 4)]
    request = _data_set(
        RequestedProcedureDescription="CT thorax", ScheduledProcedureStepID="P1", RequestedProcedureID="R1"
    )
    found |= dict(
        [
            _sequence("ReferencedImageSequence", *references, undefined=True),
            _sequence("SourceImageSequence", *references),
            _sequence("ReferencedStudySequence", references[0]),
            _sequence("AnatomicRegionSequence", _code("51185008", "Chest")),
            _sequence("ProcedureCodeSequence", _code("169069000", "CT of chest"), undefined=True),
            _sequence("CTDIPhantomTypeCodeSequence", _code("113691", "IEC Body Dosimetry Phantom")),
            _sequence("RequestAttributesSequence", request),
            _sequence("PerformedProtocolCodeSequence", _code("P5-0808E", "CT of chest")),
            _sequence("DerivationCodeSequence", _code("113076", "Segmentation")),
        ]
    )
    for group, maker in ((0x0019, "MAKER CT HEADER"), (0x0021, "MAKER MED"), (0x0029, "MAKER CSA HEADER")):
        found[group << 16 | 0x10] = EXPLICIT.element(group << 16 | 0x10, "LO", maker.encode())
        for number in range(_PRIVATE_ELEMENTS // 3):
            tag = group << 16 | 0x1000 | number
            found[tag] = EXPLICIT.element(tag, ("LO", "DS", "IS")[number % 3], b"%d" % (1000 + number))
    return _part10(_CT, _joined(found))


@cache
def enhanced(frames: int = FRAMES, size: int = ENHANCED_SIZE) -> bytes:
    """The head of an enhanced CT of many frames, its functional groups padded to so many bytes by a text."""
    found = _described(_ENHANCED_CT)
    shortest = sum(map(len, (_frame(number, b"") for number in range(100)))) // 100
    text = b"x" * max(0, (size - len(_joined(found))) // frames - shortest - 8)
    tag, groups = _sequence("PerFrameFunctionalGroupsSequence", *(_frame(n, text) for n in range(frames)))
    found[tag] = groups
    tag, number_of_frames = _element("NumberOfFrames", str(frames))
    found[tag] = number_of_frames
    return _part10(_ENHANCED_CT, _joined(found))


def _frame(number: int, text: bytes) -> bytes:
    content = _data_set(
        FrameAcquisitionDateTime=f"20240229101112.{number:06}", StackID="1", FrameComments=text.decode()
    )
    content += EXPLICIT.element(0x00209057, "UL", struct.pack("<L", number + 1))
    position = _data_set(ImagePositionPatient=f"-165\\-165\\{number * 0.5:.1f}")
    orientation = _data_set(ImageOrientationPatient="1\\0\\0\\0\\1\\0")
    measures = _data_set(PixelSpacing="0.64453125\\0.64453125", SliceThickness="0.5")
    sources = dict([_sequence("SourceImageSequence", _reference(number))])
    return _joined(
        dict(
            [
                _sequence("FrameContentSequence", content, undefined=True),
                _sequence("PlanePositionSequence", position, undefined=True),
                _sequence("PlaneOrientationSequence", orientation),
                _sequence("PixelMeasuresSequence", measures),
                _sequence("DerivationImageSequence", _joined(sources), undefined=True),
            ]
        )
    )
