"""Whether bytes that nobody says are DICOM are DICOM all the same: they are never taken for anything else.

What is encrypted, or packed in another way than those that are looked into, cannot be seen.
"""

import lzma
import zlib
from contextlib import suppress
from typing import Final

from pydicom.datadict import dictionary_has_tag

from mdm_async.dicom import quirks
from mdm_async.dicom.elements import (
    EXPLICIT_BIG,
    EXPLICIT_LITTLE,
    IMPLICIT_BIG,
    IMPLICIT_LITTLE,
    Buffer,
    Encoding,
)
from mdm_async.errors import MdmError

LOOKED_AT: Final = 4096
"""Bytes of a file's beginning that are enough to tell whether it is a DICOM file."""
_MAGIC: Final = b"DICM\x02\x00"
"""Prefix and the group of the first element, wherever they lie: behind other bytes, or in an archive."""
_ELEMENTS: Final = 3
"""So many known elements in ascending order are no accident."""
_ENCODINGS: Final = (EXPLICIT_LITTLE, IMPLICIT_LITTLE, EXPLICIT_BIG, IMPLICIT_BIG)
_GZIP, _XZ, _ZIP_MEMBER = b"\x1f\x8b\x08", b"\xfd7zXZ\0", b"PK\x03\x04"
_INFLATED: Final = 1 << 16
_MEMBER: Final = 4096
"""Bytes of an archive's member, header and name included, that are looked at."""
_MEMBERS: Final = 4096
"""Members of one archive that are looked into."""
_XZ_MEMORY: Final = 32 << 20


def begins_as_dicom(first: bytes) -> bool:
    """Whether a file that begins so (LOOKED_AT bytes, or all) goes the way of DICOM, be it whole and sound or not."""
    if first[128:132] == b"DICM" or quirks.may_be_data_set(first):
        return True
    return any(_is_data_set(first, one) for one in _ENCODINGS)


def _is_data_set(first: bytes, encoding: Encoding) -> bool:
    """Whether known elements stand there in ascending order, as in a data set without anything before it."""
    at, before, end = 0, -1, len(first)
    for _ in range(_ELEMENTS):
        if end - at < 8 or not encoding.header_size(first, at, end - at):
            return False
        try:
            tag, _, value, length = encoding.header(first, at, end)
        except MdmError:
            return False
        if encoding.explicit and not quirks.has_vr(first, at):
            return False
        if tag <= before or not dictionary_has_tag(tag):
            return False
        at, before = value + length, tag
    return True


class Within:
    """Looks for DICOM files inside of one that is fed in chunks: bare, in archives, and in some that are packed."""

    def __init__(self) -> None:
        self._kept = b""
        self._begun = False
        self._members = 0
        self.found = False

    def feed(self, chunk: Buffer) -> None:
        data = self._kept + bytes(chunk)
        if not self._begun and len(data) >= LOOKED_AT:
            self._begin(data)
        last = max(len(data) - _MEMBER, 0)
        self._look(data, last)
        self._kept = data[last:]

    def close(self) -> None:
        if not self._begun:
            self._begin(self._kept)
        self._look(self._kept, len(self._kept))

    def _begin(self, data: bytes) -> None:
        self._begun = True
        if data.startswith(_GZIP):
            self._see(_inflated(data, 16 + zlib.MAX_WBITS, _INFLATED))
        elif data.startswith(_XZ):
            with suppress(lzma.LZMAError, EOFError):
                unpacking = lzma.LZMADecompressor(lzma.FORMAT_XZ, memlimit=_XZ_MEMORY)
                self._see(unpacking.decompress(data, _INFLATED))

    def _see(self, data: bytes) -> None:
        self.found |= _MAGIC in data or (len(data) > 8 and begins_as_dicom(data[:LOOKED_AT]))

    def _look(self, data: bytes, last: int) -> None:
        """Members that begin before `last`; the rest is looked at again with what follows."""
        self.found |= _MAGIC in data
        at = data.find(_ZIP_MEMBER)
        while 0 <= at < last and self._members < _MEMBERS:
            self._members += 1
            if data[at + 8 : at + 10] == b"\x08\0":  # deflated
                names = int.from_bytes(data[at + 26 : at + 28], "little")
                more = int.from_bytes(data[at + 28 : at + 30], "little")
                start = at + 30 + names + more
                self._see(_inflated(data[start : at + _MEMBER], -zlib.MAX_WBITS, LOOKED_AT))
            at = data.find(_ZIP_MEMBER, at + 30)


def _inflated(data: bytes, bits: int, most: int) -> bytes:
    """The beginning of what was deflated, as far as it comes."""
    with suppress(zlib.error):
        return zlib.decompressobj(bits).decompress(data, most)
    return b""
