"""The preamble and file meta information in front of a data set (PS3.10 §7.1)."""

import re
from dataclasses import dataclass
from typing import Final

from mdm_async.dicom.elements import DEFLATED, EXPLICIT_LITTLE, UNDEFINED, Buffer
from mdm_async.errors import Malformed, NotDicom, Truncated

META_LIMIT: Final = 1 << 20
"""Bytes; real ones have a few hundred."""

_UID: Final = re.compile(r"[0-9.]{1,64}")
_PREAMBLE: Final = 132
_DICOMDIR: Final = "1.2.840.10008.1.3.10"
_GROUP_LENGTH, _SOP_CLASS, _SOP_INSTANCE, _TRANSFER_SYNTAX = 0x00020000, 0x00020002, 0x00020003, 0x00020010


class MetaReader:
    """Reads preamble and meta from a stream, chunk by chunk, and keeps their bytes until they are complete."""

    def __init__(self) -> None:
        self.data = bytearray()
        """What has been fed; once `complete`, bytes from `end` on belong to the data set."""
        self.end = _PREAMBLE
        self.complete = False
        self.transfer_syntax: str | None = None
        self.sop_class: str | None = None
        self.sop_instance: str | None = None
        self._announced_end: int | None = None

    def feed(self, chunk: Buffer) -> bool:
        """Take a chunk; True once the meta is complete. Raises NotDicom or Malformed."""
        self.data += chunk
        if len(self.data) >= _PREAMBLE and self.data[128:_PREAMBLE] != b"DICM":
            raise NotDicom(
                "no DICM prefix at byte 128", remedy="send a DICOM Part 10 file, with preamble and meta"
            )
        while not self.complete and self._element():
            pass
        if not self.complete and len(self.data) > META_LIMIT:
            raise Malformed(f"the file meta information is larger than {META_LIMIT} bytes")
        return self.complete

    def close(self) -> None:
        """The stream has ended. Raises unless preamble and meta are whole."""
        if self.complete:
            return
        if len(self.data) < _PREAMBLE:
            raise NotDicom("shorter than a DICOM preamble", remedy="send a DICOM Part 10 file")
        if self.end != len(self.data):
            raise Truncated(f"the stream ends inside the file meta information at byte {len(self.data)}")
        self._finish()

    def _element(self) -> bool:
        """Take one element of group 0002; False when more bytes are needed or the meta is complete."""
        data, at = self.data, self.end
        if self.transfer_syntax == DEFLATED and at == self._announced_end:
            # What follows is no element: its first bytes could look like group 0002.
            self._finish()
            return False
        if len(data) < at + 2:
            return False
        if data[at : at + 2] != b"\x02\x00":
            self._finish()
            return False
        if not EXPLICIT_LITTLE.header_size(data, at, len(data) - at):
            return False
        tag, _, value, length = EXPLICIT_LITTLE.header(data, at, len(data))
        if length == UNDEFINED or length > META_LIMIT:
            raise Malformed(f"a length at byte {at} in the file meta information is impossible")
        if len(data) < value + length:
            return False
        self.end = value + length
        self._note(tag, bytes(data[value : self.end]))
        return True

    def _note(self, tag: int, value: bytes) -> None:
        if tag == _GROUP_LENGTH and len(value) == 4:
            self._announced_end = self.end + int.from_bytes(value, "little")
        elif tag == _SOP_CLASS:
            self.sop_class = uid_text(value) or None
        elif tag == _SOP_INSTANCE:
            self.sop_instance = uid_text(value) or None
        elif tag == _TRANSFER_SYNTAX:
            self.transfer_syntax = uid_text(value) or None

    def _finish(self) -> None:
        if self.transfer_syntax is None:
            raise Malformed("the file meta information names no transfer syntax (0002,0010)")
        if not is_uid(self.transfer_syntax):
            raise Malformed("the transfer syntax (0002,0010) is no UID")
        if self.sop_class == _DICOMDIR:
            raise NotDicom(
                "this is a DICOMDIR, whose byte offsets would lie", remedy="send the files that it lists"
            )
        self.complete = True


@dataclass(frozen=True, slots=True)
class Meta:
    """What a head's file meta information says, and where the data set begins."""

    end: int
    transfer_syntax: str
    sop_class: str | None
    sop_instance: str | None


def read_meta(head: bytes) -> Meta:
    """The meta of a whole head. Raises NotDicom or Malformed."""
    reader = MetaReader()
    if not reader.feed(memoryview(head)[: META_LIMIT + 256]):
        reader.close()
    assert reader.transfer_syntax is not None
    return Meta(reader.end, reader.transfer_syntax, reader.sop_class, reader.sop_instance)


def is_uid(text: str) -> bool:
    """Whether this is digits and dots, at most 64 of them (PS3.5 §9.1); nothing can hide in that."""
    return _UID.fullmatch(text) is not None


def uid_text(value: Buffer) -> str:
    """A UID's text without padding; bytes that no UID may hold become '?'."""
    return bytes(value).decode("ascii", "replace").replace("�", "?").strip("\0 ")
