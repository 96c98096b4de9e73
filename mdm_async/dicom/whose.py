"""Whose an image is, so that a patient's images can be told from those of another who has the same Patient ID."""

from dataclasses import dataclass
from typing import Final, Self

from pydicom.valuerep import TEXT_VR_DELIMS

from mdm_async.dicom.character_sets import CharacterSet
from mdm_async.dicom.filemeta import read_meta
from mdm_async.dicom.walking import walk

_ID, _NAME, _ISSUER, _BIRTH_DATE = 0x00100020, 0x00100010, 0x00100021, 0x00100030
_CHARACTER_SET: Final = 0x00080005
_TAGS: Final = (_CHARACTER_SET, _ID, _NAME, _ISSUER, _BIRTH_DATE)
_VALUES: Final = frozenset(TEXT_VR_DELIMS)
_LAST: Final = max(_TAGS)


@dataclass(frozen=True, slots=True, repr=False)
class Whose:
    """As encoded, without padding; b"" when it is not there. Two that are equal are one person."""

    id: bytes
    id_text: str
    """The same, for people."""
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
        charset = CharacterSet(found.get(_CHARACTER_SET, b""))
        id_text = charset.text(found.get(_ID, b""), _VALUES)
        return cls(found.get(_ID, b""), id_text, found.get(_ISSUER, b""), name, found.get(_BIRTH_DATE, b""))
