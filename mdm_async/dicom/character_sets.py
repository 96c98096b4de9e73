"""Text by Specific Character Set (0008,0005), which pydicom decodes (PS3.3 §C.12.1.1.2)."""

import warnings
from collections.abc import Sequence
from typing import Final

from pydicom.charset import convert_encodings, decode_bytes
from pydicom.valuerep import TEXT_VR_DELIMS

TEXT_PARTS: Final = frozenset(TEXT_VR_DELIMS)
"""The bytes after which the set is again that of the beginning, in texts and in names."""
NAME_PARTS: Final = TEXT_PARTS | {ord("^"), ord("=")}


class CharacterSet:
    """Decodes text of a data set; never fails, since it is only looked at: bytes that mean nothing are replaced."""

    def __init__(self, value: bytes = b"") -> None:
        """`value` of Specific Character Set."""
        names = [name.strip("\0 ") for name in value.decode("ascii", "replace").split("\\")]
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of unknown ones
            self._encodings = _python_encodings(names)

    def text(self, value: bytes, delimiters: frozenset[int] = frozenset()) -> str:
        """Without padding. `delimiters`: the bytes after which the set is again that of the beginning."""
        if value.isascii() and b"\x1b" not in value:
            return value.decode("ascii").strip("\0 ")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            try:
                return decode_bytes(value, self._encodings, set(delimiters)).strip("\0 ")
            except (ValueError, LookupError):
                return value.decode("latin-1").strip("\0 ")


def _python_encodings(names: list[str]) -> Sequence[str]:
    try:
        found: Sequence[str] = convert_encodings(names)
    except (ValueError, LookupError):  # pydicom asks Python for a codec of whatever name is there
        return ["iso8859"]
    return found
