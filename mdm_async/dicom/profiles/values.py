"""Values that a site's rule may write: which text is legal for which VR (PS3.5 §6.2), in ASCII."""

import re
from datetime import date
from typing import Final

_LINE: Final = r"[^\\\x00-\x1f\x7f]"
_TEXT: Final = r"[^\x00-\x09\x0b\x0e-\x1f\x7f]"
_TIME: Final = r"([01]\d|2[0-3])([0-5]\d([0-5]\d(\.\d{1,6})?)?)?"

_LEGAL: Final = {
    b"AE": (rf"(?! *$){_LINE}{{1,16}}", "at most 16 characters"),
    b"AS": (r"\d{3}[DWMY]", "an age as 045Y"),
    b"CS": (r"(?! *$)[A-Z0-9_ ]{1,16}", "at most 16 capitals, digits, underscores and spaces"),
    b"DA": (r"\d{8}", "a date as 19000101"),
    b"DS": (r"(?=.{1,16}$)[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d+)?", "a number of at most 16 characters"),
    b"DT": (rf"\d{{8}}({_TIME})?([+-](0\d|1[0-4])[0-5]\d)?", "a date and time as 19000101000000"),
    b"IS": (r"[+-]?\d{1,11}", "a whole number within 32 bits"),
    b"LO": (rf"(?! *$){_LINE}{{1,64}}", "one line of at most 64 characters"),
    b"LT": (rf"(?s)(?!\s*$){_TEXT}{{1,10240}}", "at most 10240 characters"),
    b"PN": (
        rf"(?! *$)(?!.*=)(?!(.*\^){{5}}){_LINE}{{1,64}}",
        "one name of at most 64 characters, components parted by ^",
    ),
    b"SH": (rf"(?! *$){_LINE}{{1,16}}", "one line of at most 16 characters"),
    b"ST": (rf"(?s)(?!\s*$){_TEXT}{{1,1024}}", "at most 1024 characters"),
    b"TM": (_TIME, "a time as 120000"),
    b"UC": (rf"(?! *$){_LINE}{{1,10240}}", "one line of at most 10240 characters"),
    b"UI": (r"(?=.{1,64}$)[0-2](\.(0|[1-9]\d*))+", "a UID"),
    b"UR": (r"[A-Za-z][A-Za-z0-9+.-]*:[!-\[\]-~]{1,2000}", "an absolute URI without spaces or backslashes"),
    b"UT": (rf"(?s)(?!\s*$){_TEXT}{{1,10240}}", "at most 10240 characters"),
}


def what_is_legal(vr: bytes) -> str:
    """The values of this VR that a rule may write, in words; "" when it can write none (sequences, numbers, bytes)."""
    return f"{_LEGAL[vr][1]}, in ASCII" if vr in _LEGAL else ""


def is_legal(vr: bytes, value: str) -> bool:
    """Whether this is one legal value of the VR, not empty and in ASCII."""
    if vr not in _LEGAL or not value.isascii() or not re.fullmatch(_LEGAL[vr][0], value):
        return False
    if vr == b"IS":
        return -(1 << 31) <= int(value) < 1 << 31
    if vr in (b"DA", b"DT"):
        try:
            date(int(value[:4]), int(value[4:6]), int(value[6:8]))
        except ValueError:
            return False
    return True
