"""DICOM that does not look like it."""

import gzip
import io
import lzma
import struct
import tarfile
import zipfile
from collections.abc import Callable
from typing import Final

from tests.web.made_images import made

CT, TEXT = made(), b"results of the night\n" * 5


def _zip(how: int) -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", how) as archive:
        archive.writestr("readme.txt", TEXT * 5000)
        archive.writestr("a.dcm", CT)
    return packed.getvalue()


def _tar() -> bytes:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as archive:
        told = tarfile.TarInfo("a.dcm")
        told.size = len(CT)
        archive.addfile(told, io.BytesIO(CT))
    return packed.getvalue()


def _bare(start: int = 0x00080005) -> bytes:
    """A data set of explicit VR from this element on, without preamble and meta."""
    at = CT.index(struct.pack("<HH", start >> 16, start & 0xFFFF), 132)
    return CT[at:]


DISGUISES: Final[dict[str, Callable[[], bytes]]] = {
    "no preamble": lambda: CT[132:],
    "no meta": lambda: _bare(),
    "from the patient on": lambda: _bare(0x00100010),
    "big endian": lambda: struct.pack(">HH2sH", 8, 5, b"CS", 10) + b"ISO_IR 100" + CT[200:],
    "leading bytes": lambda: bytes(512) + CT,
    "behind a long text": lambda: TEXT * 20000 + CT,
    "cut short": lambda: CT[:5000],
    "broken behind its prefix": lambda: bytes(128) + b"DICM" + TEXT,
    "tar": _tar,
    "zip, stored": lambda: _zip(zipfile.ZIP_STORED),
    "zip": lambda: _zip(zipfile.ZIP_DEFLATED),
    "gzip": lambda: gzip.compress(CT),
    "tar.gz": lambda: gzip.compress(_tar()),
    "xz": lambda: lzma.compress(CT),
}
