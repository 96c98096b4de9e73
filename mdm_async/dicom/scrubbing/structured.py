"""Structured content: which content items are known (PS3.3 §C.17.3)."""

from typing import Final

from mdm_async.dicom.elements import Encoding
from mdm_async.dicom.filemeta import uid_text
from mdm_async.dicom.walking import walk

_VALUE_TYPE: Final = 0x0040A040
_VALUE_TYPES: Final = frozenset(
    {"TEXT", "NUM", "CODE", "DATETIME", "DATE", "TIME", "UIDREF", "PNAME", "COMPOSITE", "IMAGE", "WAVEFORM"}
    | {"SCOORD", "SCOORD3D", "TCOORD", "CONTAINER", "TABLE", "NUMERIC"}
)


def is_known_content(data: bytes, at: int, end: int, encoding: Encoding) -> bool:
    """Whether an item is of a value type that PS3.3 defines, or has none: then its attributes speak for themselves.

    `at` is the item's first element; what is behind the Value Type is not looked at.
    """
    for element in walk(data, at, end, encoding):
        if element.tag > _VALUE_TYPE:
            break
        if element.tag == _VALUE_TYPE:
            return uid_text(data[element.value : element.end]) in _VALUE_TYPES
    return True
