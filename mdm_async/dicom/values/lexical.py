"""Which bytes are a legal value of which VR (PS3.5 §6.2)."""

import re
from typing import Final

# Files hold decimals of more than 16 characters, which tell nothing that fewer would not; no other length is stretched.
_DECIMAL: Final = rb"(?=[^\\]{1,32}(?:\\|$)) *[+-]?(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+)? *"
_ZONE: Final = rb"(?:[+-](?:0\d|1[0-4])[0-5]\d)?"
_DAY: Final = rb"\d{4}(?:0[1-9]|1[0-2])(?:0[1-9]|[12]\d|3[01])"
_CLOCK: Final = rb"(?:[01]\d|2[0-3])(?:[0-5]\d(?:(?:[0-5]\d|60)(?:\.\d{1,6})?)?)?"
_DAY_TIME: Final = (
    rb"\d{4}(?:(?:0[1-9]|1[0-2])(?:(?:0[1-9]|[12]\d|3[01])(?:" + _CLOCK + rb")?)?)?" + _ZONE + rb" *"
)
_LINE: Final = rb"[^\\\x00-\x1a\x1c-\x1f\x7f]"
_TEXT: Final = rb"[^\x00-\x08\x0b\x0e-\x1a\x1c-\x1f\x7f]"
# A character of a multi-byte set takes up to four bytes, and escape sequences some more.
_WIDE: Final = rb"(?=[^\\]*[\x1b\x80-\xff])"

_ONE: Final = {
    b"AE": rb"[ -\[\]-~]{1,16}",
    b"AS": rb"\d{3}[DWMY] ?",
    b"CS": rb"[A-Z0-9_ ]{1,16}",
    b"DA": rb"(?:" + _DAY + rb"|\d{4}\.(?:0[1-9]|1[0-2])\.(?:0[1-9]|[12]\d|3[01])) *",
    b"DS": _DECIMAL,
    b"DT": _DAY_TIME,
    b"IS": rb"(?=[^\\]{1,12}(?:\\|$)) *[+-]?\d{1,10} *",
    b"LO": rb"(?:" + _WIDE + _LINE + rb"{1,512}|" + _LINE + rb"{1,64})",
    b"PN": rb"(?!(?:[^\\=]*=){3})(?!(?:[^\\=^]*\^){5})(?:(?:" + _LINE + rb"){1,384})",
    b"SH": rb"(?:" + _WIDE + _LINE + rb"{1,128}|" + _LINE + rb"{1,16})",
    b"TM": rb"(?:(?:[01]\d|2[0-3]):[0-5]\d(?::[0-5]\d(?:\.\d{1,6})?)?|" + _CLOCK + rb") *",
    b"UC": _LINE + rb"+",
    b"UI": rb"(?=[0-9.]{1,64}(?:[\\\x00 ]|$))[0-2](?:\.(?:0|[1-9]\d*))+",
}
_WHOLE: Final = {
    b"LT": _TEXT + rb"{0,10240}",
    b"ST": _TEXT + rb"{0,1024}",
    b"UR": rb"[!-\[\]-~]* *",
    b"UT": _TEXT + rb"*",
}
# What has matched is not given back: of blanks, in a value and as its padding, each share would be tried.
_PATTERNS: Final = {
    vr: re.compile(rb"(?:" + one + rb")?+(?:\\(?:" + one + rb")?+)*+[\x00 ]*+") for vr, one in _ONE.items()
} | {vr: re.compile(rb"(?>" + whole + rb")[\x00 ]*+") for vr, whole in _WHOLE.items()}
BYTES_OF_ONE: Final = {
    b"AT": 4,
    b"FD": 8,
    b"FL": 4,
    b"OB": 1,
    b"OD": 8,
    b"OF": 4,
    b"OL": 4,
    b"OV": 8,
    b"OW": 2,
    b"SL": 4,
    b"SS": 2,
    b"SV": 8,
    b"UL": 4,
    b"UN": 1,
    b"US": 2,
    b"UV": 8,
}
"""Of VRs that hold numbers or bytes, how many bytes one has."""
_MOST: Final = 1 << 31


def is_legal(vr: bytes, value: bytes) -> bool:
    """Whether this is a legal value of the VR: all of its values with backslashes between, padded or not.

    Empty values are legal. Of numbers in bytes only the length can be wrong; a sequence is no value.
    """
    if (unit := BYTES_OF_ONE.get(vr)) is not None:
        return len(value) % unit == 0
    pattern = _PATTERNS.get(vr)
    if pattern is None or pattern.fullmatch(value) is None:
        return False
    return vr != b"IS" or all(
        -_MOST <= int(one) < _MOST for one in value.rstrip(b"\0 ").split(b"\\") if one.strip()
    )
