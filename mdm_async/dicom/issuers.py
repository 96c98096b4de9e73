"""Who has issued a Patient ID (PS3.3 §C.7.1.1): equal IDs of two hospitals are two patients."""

import unicodedata
from typing import Final

from pydicom.valuerep import TEXT_VR_DELIMS

from mdm_async.dicom.character_sets import CharacterSet
from mdm_async.dicom.filemeta import read_meta
from mdm_async.dicom.walking import walk

_CHARACTER_SET, _ISSUER = 0x00080005, 0x00100021
_VALUES: Final = frozenset(TEXT_VR_DELIMS)


def issuer_of(head: bytes, issued_by: str | None) -> str:
    """Who counts as the issuer of a file's Patient ID: "" where IDs are taken as they are, with `issued_by` None; else
    whom the file names, or that one where it names nobody. Raises Malformed.
    """
    if issued_by is None:
        return ""
    meta, charset = read_meta(head), CharacterSet()
    for element in walk(head, meta.end, len(head), meta.encoding, last=_ISSUER):
        value = head[element.value : element.value + element.length]
        if element.tag == _CHARACTER_SET:
            charset = CharacterSet(value)
        elif element.tag == _ISSUER and (named := charset.text(value, _VALUES)):
            return written(named)
    return issued_by


def written(issuer: str) -> str:
    """An issuer as it is compared with others: as it is written, case and all. Two that differ are two."""
    return unicodedata.normalize("NFC", issuer.strip())


def issued(patient_id: bytes, issuer: str) -> bytes:
    """A Patient ID as one of this issuer's, to make a pseudonym of; as it is without one, and when it is empty."""
    bare = patient_id.strip(b"\0 ")
    return issuer.encode() + b"\0" + bare if issuer and bare else patient_id
