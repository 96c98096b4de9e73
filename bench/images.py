"""DICOM files to measure with, made from a number: the same number makes the same file in every process.

Large files are streamed, so that the bench itself needs little memory.
"""

import io
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from random import Random

from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.filereader import dcmread
from pydicom.filewriter import dcmwrite
from pydicom.sequence import Sequence
from pydicom.uid import CTImageStorage, EnhancedCTImageStorage, ExplicitVRLittleEndian

SIDE = 512
FRAME = SIDE * SIDE * 2
"""Bytes of a frame: 512 × 512 pixels of 16 bits, half a mebibyte."""

_ROOT = "1.2.826.0.1.3680043.8.498."
PATIENT = "NOBODY^AT^ALL"
PATIENT_ID = "NN-0815-4711"


@dataclass(frozen=True, slots=True)
class Image:
    """A CT of one frame, or an enhanced CT of several. Its pixels are the end of the file."""

    number: int
    frames: int = 1

    @property
    def head(self) -> bytes:
        """All before the pixels' value."""
        return _head(self.number, self.frames)

    @property
    def pixels(self) -> int:
        """Bytes of the pixels' value."""
        return self.frames * FRAME

    @property
    def size(self) -> int:
        return len(self.head) + self.pixels

    @property
    def adler32(self) -> int:
        return _adler(self.number, self.frames)

    def frame(self, index: int) -> bytes:
        """Noise; no two frames of all images are alike."""
        turn = (self.number * 7919 + index * 104_729) % FRAME
        return _noise()[turn:] + _noise()[:turn]

    def chunks(self) -> Iterator[bytes]:
        """The file."""
        yield self.head
        for index in range(self.frames):
            yield self.frame(index)

    def pixel_bytes(self, start: int, stop: int) -> bytes:
        """The pixels' bytes start ≤ i < stop."""
        first = start // FRAME
        covering = b"".join(self.frame(index) for index in range(first, -(-stop // FRAME)))
        return covering[start - first * FRAME : stop - first * FRAME]


def ct(number: int) -> Image:
    """A plain CT: 512 KiB of pixels."""
    return Image(number)


def uids_of(head: bytes) -> tuple[str, str]:
    """The study's and the series', of a file that begins so."""
    read = dcmread(io.BytesIO(head), stop_before_pixels=True)
    return str(read.StudyInstanceUID), str(read.SeriesInstanceUID)


def multi_frame(number: int, mebibytes: int) -> Image:
    """An enhanced CT with so many mebibytes of pixels, two frames each."""
    return Image(number, mebibytes * (1 << 20) // FRAME)


@cache
def _noise() -> bytes:
    return Random(1).randbytes(FRAME)


@cache
def _adler(number: int, frames: int) -> int:
    checksum = 1
    for chunk in Image(number, frames).chunks():
        checksum = zlib.adler32(chunk, checksum)
    return checksum


@cache
def _head(number: int, frames: int) -> bytes:
    sop_class = CTImageStorage if frames == 1 else EnhancedCTImageStorage
    data = Dataset()
    _identify(data, number, sop_class)
    _acquire(data)
    _describe_pixels(data)
    if frames > 1:
        data.NumberOfFrames = frames
        data.PerFrameFunctionalGroupsSequence = Sequence(_frame_item(index) for index in range(frames))
    data.file_meta = FileMetaDataset()
    data.file_meta.MediaStorageSOPClassUID = sop_class
    data.file_meta.MediaStorageSOPInstanceUID = data.SOPInstanceUID
    data.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    written = io.BytesIO()
    dcmwrite(written, data, enforce_file_format=True)
    pixels_header = b"\xe0\x7f\x10\x00OW\0\0" + (frames * FRAME).to_bytes(4, "little")
    return written.getvalue() + pixels_header


def _identify(data: Dataset, number: int, sop_class: str) -> None:
    data.SpecificCharacterSet = "ISO_IR 100"
    data.ImageType = ["ORIGINAL", "PRIMARY", "AXIAL"]
    data.SOPClassUID = sop_class
    data.SOPInstanceUID = f"{_ROOT}3.{number}"
    data.StudyInstanceUID = f"{_ROOT}1.{number // 64}"
    data.SeriesInstanceUID = f"{_ROOT}2.{number // 64}"
    data.FrameOfReferenceUID = f"{_ROOT}4.{number // 64}"
    for date in ("StudyDate", "SeriesDate", "AcquisitionDate", "ContentDate"):
        setattr(data, date, "20240229")
    for time in ("StudyTime", "SeriesTime", "AcquisitionTime", "ContentTime"):
        setattr(data, time, "101112")
    data.AccessionNumber = "ACC-4711-0815"
    data.Modality = "CT"
    data.Manufacturer = "Maker"
    data.InstitutionName = "Hospital of Nowhere"
    data.ReferringPhysicianName = "REFERRING^PHYSICIAN"
    data.StationName = "STATION1"
    data.StudyDescription = "Thorax"
    data.SeriesDescription = "Axial"
    data.PatientName = PATIENT
    data.PatientID = PATIENT_ID
    data.PatientBirthDate = "19500101"
    data.PatientSex = "O"
    data.PatientAge = "074Y"
    data.PatientWeight = "70"
    data.StudyID = "STUDY1"
    data.SeriesNumber = 1
    data.InstanceNumber = number


def _acquire(data: Dataset) -> None:
    data.BodyPartExamined = "CHEST"
    data.SliceThickness = "1.25"
    data.KVP = "120"
    data.DeviceSerialNumber = "SERIAL-1"
    data.SoftwareVersions = "1.0"
    data.ProtocolName = "Routine"
    data.XRayTubeCurrent = 200
    data.ConvolutionKernel = "STANDARD"
    data.PatientPosition = "HFS"
    data.ImagePositionPatient = ["-250", "-250", "100"]
    data.ImageOrientationPatient = ["1", "0", "0", "0", "1", "0"]
    data.SliceLocation = "100"


def _describe_pixels(data: Dataset) -> None:
    data.SamplesPerPixel = 1
    data.PhotometricInterpretation = "MONOCHROME2"
    data.Rows = data.Columns = SIDE
    data.PixelSpacing = ["0.97", "0.97"]
    data.BitsAllocated = data.BitsStored = 16
    data.HighBit = 15
    data.PixelRepresentation = 0
    data.WindowCenter, data.WindowWidth = "40", "400"
    data.RescaleIntercept, data.RescaleSlope = "-1024", "1"


def _frame_item(index: int) -> Dataset:
    content, position, item = Dataset(), Dataset(), Dataset()
    content.FrameAcquisitionDateTime = "20240229101112"
    content.StackID = "1"
    content.InStackPositionNumber = index + 1
    content.DimensionIndexValues = [1, index + 1]
    position.ImagePositionPatient = ["-250", "-250", f"{index * 1.25:.2f}"]
    item.FrameContentSequence = Sequence([content])
    item.PlanePositionSequence = Sequence([position])
    return item
