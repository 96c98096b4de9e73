"""DICOM files of any size and shape, made from the CT image that pydicom ships."""

import io
import random
from functools import cache
from pathlib import Path

import pydicom.data
from pydicom import Dataset, dcmread
from pydicom.uid import DeflatedExplicitVRLittleEndian, generate_uid

_CT = Path(pydicom.data.__file__).parent / "test_files" / "CT_small.dcm"
INLINE, BLOB = 20_000, 300_000
"""Bytes of a part that lies in the catalog, and of one that lies in the blob store."""


@cache
def made(
    *, pixels: int | None = INLINE, head: int = 0, deflated: bool = False, seed: int = 0, name: str = "A^B"
) -> bytes:
    """A file with so many bytes of pixels (None: none at all; even), and a head larger by some `head` bytes.

    With pixels it has a tail of 138 bytes, which is gone from the basic view. `seed` makes a different file.
    """
    noise = random.Random(f"{pixels} {head} {seed}").randbytes
    image = dcmread(_CT)
    image.PatientName, image.PatientID = name, f"made-{seed}"
    image.SOPInstanceUID = image.file_meta.MediaStorageSOPInstanceUID = generate_uid(
        entropy_srcs=[f"{pixels} {head} {deflated} {seed}"]
    )
    if pixels is None:
        del image.PixelData
    else:
        words = pixels // 2
        image.Rows = next(rows for rows in range(1, words) if words % rows == 0 and words // rows < 65536)
        image.Columns = words // image.Rows
        image.PixelData = noise(pixels)
    if head:
        # Colour tables carry no identity: they stay in the de-identified head, which so becomes large itself.
        for table in ("Red", "Green", "Blue")[: -(-head // 60_000)]:
            setattr(image, f"{table}PaletteColorLookupTableData", noise(60_000))
        rest = head - 180_000
        if rest > 0:
            image.WaveformSequence = [_waveform(noise(rest))]
    if deflated:
        image.file_meta.TransferSyntaxUID = DeflatedExplicitVRLittleEndian
    written = io.BytesIO()
    image.save_as(written, enforce_file_format=True)
    return written.getvalue()


def _waveform(samples: bytes) -> Dataset:
    waveform = Dataset()
    waveform.WaveformBitsAllocated = 16
    waveform.add_new("WaveformData", "OW", samples)
    return waveform
