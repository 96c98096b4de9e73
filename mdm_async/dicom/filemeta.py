"""The preamble and file meta information in front of a data set (PS3.10 §7.1)."""

import re
from dataclasses import dataclass
from typing import Final

from mdm_async.dicom import quirks
from mdm_async.dicom.elements import (
    BLANK_VRS,
    DEFLATED,
    EXPLICIT_LITTLE,
    IMPLICIT_LITTLE,
    UNDEFINED,
    Buffer,
    Encoding,
    encoding_of,
)
from mdm_async.errors import Malformed, NotDicom, Truncated

_REMEDY = "send a DICOM Part 10 file; other files are taken where a directory says so: mdm dir set --opaque"
META_LIMIT: Final = 1 << 20
"""Bytes; real ones have a few hundred."""

_UID: Final = re.compile(r"[0-9.]{1,64}")
_PREAMBLE: Final = 132
_DICOMDIR: Final = "1.2.840.10008.1.3.10"
_GROUP_LENGTH, _SOP_CLASS, _SOP_INSTANCE, _TRANSFER_SYNTAX = 0x00020000, 0x00020002, 0x00020003, 0x00020010


class MetaReader:
    """Reads preamble and meta from a stream, chunk by chunk, and keeps their bytes until they are complete."""

    def __init__(self, *, force: bool = False) -> None:
        """`force`: somebody vouches for a file that breaks PS3.10 (`quirks`)."""
        self.data = bytearray()
        """What has been fed; once `complete`, bytes from `end` on belong to the data set."""
        self.end = 0
        self.complete = False
        self.transfer_syntax: str | None = None
        """By which the data set is written; not what is said there when that is wrong."""
        self.encoding = EXPLICIT_LITTLE
        """Of the data set, once complete."""
        self.sop_class: str | None = None
        self.sop_instance: str | None = None
        self._force = force
        self._begun = False
        self._start = 0
        """Where the meta begins."""
        self._of_meta = EXPLICIT_LITTLE
        self._announced_end: int | None = None

    def feed(self, chunk: Buffer) -> bool:
        """Take a chunk; True once the meta is complete. Raises NotDicom or Malformed."""
        self.data += chunk
        if not self._begun and len(self.data) >= _PREAMBLE:
            self._begin()
        if self._begun and not self.complete:
            self._read(ended=False)
        return self.complete

    def close(self) -> None:
        """The stream has ended. Raises unless preamble and meta are whole."""
        if self.complete:
            return
        if not self._begun:
            if not quirks.may_be_data_set(self.data):
                raise NotDicom("shorter than a DICOM preamble", remedy=_REMEDY)
            self._begin()
        self._read(ended=True)
        if not self.complete:
            raise Truncated(f"the stream ends inside the file meta information at byte {len(self.data)}")

    def _begin(self) -> None:
        self._begun = True
        if self.data[128:_PREAMBLE] == b"DICM":
            self.end = self._start = _PREAMBLE
        elif quirks.may_be_data_set(self.data):
            quirks.demand_force(quirks.NO_PREAMBLE, self._force)
        else:
            raise NotDicom("no DICM prefix at byte 128", remedy=_REMEDY)

    def _read(self, *, ended: bool) -> None:
        while self._element():
            pass
        if self._is_behind(ended=ended):
            self._finish()
        elif len(self.data) > META_LIMIT:
            raise Malformed(f"the file meta information is larger than {META_LIMIT} bytes")

    def _is_behind(self, *, ended: bool) -> bool:
        """Whether the meta ends at `end`, and enough of what follows is there."""
        data, at = self.data, self.end
        if ended and at == len(data):
            return True
        if len(data) < at + 2 or self._is_meta(at):
            return False
        return ended or self.transfer_syntax == DEFLATED or len(data) >= at + quirks.LOOKED_AT

    def _is_meta(self, at: int) -> bool:
        data = self.data
        if data[at : at + 2] != b"\x02\x00":
            return False
        # What follows meta and is deflated is no element: its first bytes could look like group 0002.
        deflated = self.transfer_syntax == DEFLATED and at == self._announced_end
        return not deflated or quirks.has_vr(data, at)

    def _element(self) -> bool:
        """Take one element of group 0002; False when more bytes are needed or there is none."""
        data, at = self.data, self.end
        if len(data) < at + 8 or not self._is_meta(at):
            return False
        if (
            at == self._start
            and not quirks.has_vr(data, at)
            and bytes(data[at + 4 : at + 6]) not in BLANK_VRS
        ):
            quirks.demand_force(quirks.IMPLICIT_META, self._force)
            self._of_meta = IMPLICIT_LITTLE
        if not self._of_meta.header_size(data, at, len(data) - at):
            return False
        tag, _, value, length = self._of_meta.header(data, at, len(data))
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
        if self.transfer_syntax is not None and not is_uid(self.transfer_syntax):
            raise Malformed("the transfer syntax (0002,0010) is no UID")
        if self.sop_class == _DICOMDIR:
            raise directory()
        self._see()
        self.complete = True

    def _see(self) -> None:
        """Find out how the data set is written. Raises Malformed when that is not what the meta says."""
        force, data, at = self._force, self.data, self.end
        if self.transfer_syntax is None:
            quirks.demand_force(quirks.NO_META if at == self._start else quirks.NO_SYNTAX, force)
            self.transfer_syntax = quirks.undeclared(data, at)
            self.encoding = encoding_of(self.transfer_syntax)
            return
        declared = encoding_of(self.transfer_syntax)
        self.encoding = declared
        if self.transfer_syntax == quirks.GE:
            quirks.demand_force(quirks.PRIVATE_GE, force)
        if self.transfer_syntax == DEFLATED:
            return
        self.encoding = quirks.encoding_seen(data, at, declared)
        if self.encoding is declared:
            return
        quirks.demand_force(quirks.EXPLICIT if self.encoding.explicit else quirks.IMPLICIT, force)
        if self.encoding.explicit:
            self.transfer_syntax = quirks.EXPLICIT_SYNTAX
        elif self.transfer_syntax == quirks.EXPLICIT_SYNTAX:
            self.transfer_syntax = quirks.IMPLICIT_SYNTAX


@dataclass(frozen=True, slots=True)
class Meta:
    """What a head's file meta information says, and where the data set begins."""

    end: int
    transfer_syntax: str
    encoding: Encoding
    """Of the data set: another than its transfer syntax has where a guess was needed and no syntax says that."""
    sop_class: str | None
    sop_instance: str | None


def read_meta(head: bytes) -> Meta:
    """The meta of a whole head that was let in. Raises NotDicom or Malformed."""
    reader = MetaReader(force=True)
    if not reader.feed(memoryview(head)[: META_LIMIT + 2 * quirks.LOOKED_AT]):
        reader.close()
    assert reader.transfer_syntax is not None
    return Meta(reader.end, reader.transfer_syntax, reader.encoding, reader.sop_class, reader.sop_instance)


def directory() -> NotDicom:
    """What a DICOMDIR is refused with."""
    return NotDicom("this is a DICOMDIR, whose byte offsets would lie", remedy="send the files that it lists")


def is_uid(text: str) -> bool:
    """Whether this is digits and dots, at most 64 of them (PS3.5 §9.1); nothing can hide in that."""
    return _UID.fullmatch(text) is not None


def uid_text(value: Buffer) -> str:
    """A UID's text without padding; bytes that no UID may hold become '?'."""
    return bytes(value).decode("ascii", "replace").replace("�", "?").strip("\0 ")
