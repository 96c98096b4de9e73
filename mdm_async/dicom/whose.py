"""Whose an image is, so that a patient's images can be told from those of another who has the same Patient ID."""

from dataclasses import dataclass
from typing import Final, Self

from mdm_async.dicom.filemeta import read_meta
from mdm_async.dicom.walking import walk

_ID, _NAME, _ISSUER, _BIRTH_DATE = 0x00100020, 0x00100010, 0x00100021, 0x00100030
_TAGS: Final = (_ID, _NAME, _ISSUER, _BIRTH_DATE)
_LAST: Final = max(_TAGS)


@dataclass(frozen=True, slots=True, repr=False)
class Whose:
    """As encoded, without padding; b"" when it is not there. Two that are equal are one person."""

    id: bytes
    issuer: bytes
    name: bytes
    birth_date: bytes

    @classmethod
    def of(cls, head: bytes) -> Self:
        """Of a file's head, at top level. Raises Malformed, NotDicom."""
        meta = read_meta(head)
        found: dict[int, bytes] = {}
        for element in walk(head, meta.end, len(head), meta.encoding):
            if element.tag > _LAST:
                break
            if element.tag in _TAGS and not element.undefined:
                found.setdefault(element.tag, head[element.value : element.end].strip(b"\0 "))
        name = found.get(_NAME, b"").rstrip(b"^= ").upper()
        return cls(found.get(_ID, b""), found.get(_ISSUER, b""), name, found.get(_BIRTH_DATE, b""))
