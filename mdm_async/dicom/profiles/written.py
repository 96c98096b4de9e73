"""Values that a site's rule may write: one value of the VR, not empty and in ASCII."""

from datetime import date
from typing import Final

from mdm_async.dicom.values.lexical import is_legal

_IN_WORDS: Final = {
    b"AE": "at most 16 characters",
    b"AS": "an age as 045Y",
    b"CS": "at most 16 capitals, digits, underscores and spaces",
    b"DA": "a date as 19000101",
    b"DS": "a number of at most 16 characters",
    b"DT": "a date and time as 19000101000000",
    b"IS": "a whole number within 32 bits",
    b"LO": "one line of at most 64 characters",
    b"LT": "at most 10240 characters",
    b"PN": "one name of at most 64 characters, components parted by ^",
    b"SH": "one line of at most 16 characters",
    b"ST": "at most 1024 characters",
    b"TM": "a time as 120000",
    b"UC": "one line of at most 10240 characters",
    b"UI": "a UID",
    b"UR": "an absolute URI without spaces or backslashes",
    b"UT": "at most 10240 characters",
}
_LONGEST: Final = {b"DS": 16, b"IS": 12, b"PN": 64, b"UC": 10240, b"UR": 2000, b"UT": 10240}
_SINGLE_VALUED: Final = (b"LT", b"ST", b"UT")


def what_is_legal(vr: bytes) -> str:
    """The values of this VR that a rule may write, in words; "" when it can write none (sequences, numbers, bytes)."""
    return f"{_IN_WORDS[vr]}, in ASCII" if vr in _IN_WORDS else ""


def may_be_written(vr: bytes, value: str) -> bool:
    """Whether this is one legal value of the VR, not empty and in ASCII."""
    if vr not in _IN_WORDS or not value.isascii() or not value.strip() or "\x1b" in value:
        return False
    if len(value) > _LONGEST.get(vr, 10240) or ("\\" in value and vr not in _SINGLE_VALUED):
        return False
    if not is_legal(vr, value.encode()) or value[-1] == "\0":
        return False
    if vr == b"PN":
        return "=" not in value
    if vr == b"UR":
        return value[0].isalpha() and ":" in value and " " not in value
    if vr in (b"DA", b"DT"):
        return _is_day(value[:8])
    return vr in _SPACED or (value == value.strip() and ":" not in value)


_SPACED: Final = frozenset((b"AE", b"CS", b"LO", b"LT", b"PN", b"SH", b"ST", b"UC", b"UT"))


def _is_day(text: str) -> bool:
    try:
        date(int(text[:4]), int(text[4:6]), int(text[6:]))
    except ValueError:
        return False
    return True
