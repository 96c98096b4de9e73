"""A file full of canaries: something identifying of its own in every attribute that PS3.15 Table E.1-1 names, in every
place where a DICOM file can hold something, in every encoding. What comes out of scrubbing must hold none of them.
"""

import io
import struct
import warnings
import zlib
from dataclasses import dataclass, field

import pydicom

from tests.canary_pixels import ONE_JPEG
from tests.canary_planter import Planter
from tests.canary_values import BIG, EXPLICIT, IMPLICIT, TOKEN, Encoder, Marker

ENCODINGS: dict[str, tuple[str, Encoder]] = {
    "explicit": ("1.2.840.10008.1.2.1", EXPLICIT),
    "implicit": ("1.2.840.10008.1.2", IMPLICIT),
    "big endian": ("1.2.840.10008.1.2.2", BIG),
    "deflated": ("1.2.840.10008.1.2.1.99", EXPLICIT),
    "encapsulated": ("1.2.840.10008.1.2.4.50", EXPLICIT),
}


@dataclass
class Canary:
    """A Part 10 file, and what was planted in it."""

    data: bytes
    markers: list[Marker] = field(repr=False)

    def survivors(self, data: bytes) -> list[Marker]:
        """Which markers stand in this file or stream: as they are, inflated, or in values that pydicom decodes."""
        everything = b"\n".join((data, data.replace(b"\0", b""), *_inflated(data), _decoded(data)))
        tokens = set(TOKEN.findall(everything))
        return [marker for marker in self.markers if marker.stands_in(everything, tokens)]


def canary(seed: int, encoding: str = "explicit", *, plain: bool = False) -> Canary:
    """A CT of 8 × 8 pixels. `plain`: without what other tools do not take at all, such as a name twice."""
    syntax, encoder = ENCODINGS[encoding]
    planter = Planter(seed, encoder, plain=plain)
    preamble, meta = planter.preamble_and_meta(syntax)
    body = planter.head(8 if encoding == "encapsulated" else 16)
    body += ONE_JPEG if encoding == "encapsulated" else encoder.element(0x7FE00010, "OW", bytes(128))
    body += planter.tail()
    if encoding == "deflated":
        deflater = zlib.compressobj(wbits=-15)
        body = deflater.compress(body) + deflater.flush()
    return Canary(preamble + b"DICM" + meta + body, planter.markers)


def _inflated(data: bytes) -> list[bytes]:
    """The data set, if it is deflated."""
    if b"1.2.840.10008.1.2.1.99" not in data[:2000]:
        return []
    length = struct.unpack_from("<L", data, 140)[0]
    return [zlib.decompressobj(-15).decompress(data[144 + length :])]


def _decoded(data: bytes) -> bytes:
    """Every value that pydicom decodes, at any depth, as text; b"" when it cannot read the file at all."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            found = pydicom.dcmread(io.BytesIO(data), force=True)
            elements = [*found.file_meta, *found.iterall()]
        except Exception:  # what is no DICOM file is searched as bytes alone
            return b""
        return b"\n".join(str(one.value).encode() for one in elements if one.VR != "SQ")
