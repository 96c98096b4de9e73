"""Values made coarser: the year of a date, the decade of an age, the hour of a time, a postal code's beginning.

The vocabulary is closed. Of several values each is made coarser; where one is not what its VR wants, none is let
through.
"""

import re
from collections.abc import Callable
from functools import lru_cache
from typing import Final

from mdm_async.dicom.scrubbing.dates import shifted

Coarser = Callable[[bytes], bytes | None]

_AGE: Final = re.compile(rb"(\d{3})([DWMY])")
_PER_YEAR: Final = {b"D": 365, b"W": 52, b"M": 12, b"Y": 1}
_OLD: Final = 90
"""Ages over 89 are told as one (45 CFR 164.514(b)(2)(i)(C))."""
_POSTAL_CODE: Final = re.compile(
    rb"(?:[A-Z]{1,2}-)?\d{4,6}(?:-\d{3,4})?|\d{3}[ -]\d{2,4}|\d{4} ?[A-Z]{2}"  # most; CZ, SE, JP; NL
    rb"|[A-Z]{1,2}\d[A-Z\d]? ?\d[A-Z]{2}|[A-Z]\d[A-Z] ?\d[A-Z]\d"  # GB; CA
)
_COUNTRY: Final = re.compile(rb"[A-Z]{1,2}-")
_BINS: Final = re.compile(r"bins of ([2-9]|[1-3]\d) years")
_POSTAL: Final = re.compile(r"first ([1-3]) of postal code")

VOCABULARY: Final = {
    "year": (b"DA", b"DT"),
    "month": (b"DA", b"DT"),
    "hour": (b"TM",),
    "bins of 10 years": (b"AS",),
    "90+": (b"AS",),
    "first 3 of postal code": (b"LO", b"SH"),
}
"""What can be said, with an example of each number, and of which VRs."""


def vrs_of(words: str) -> tuple[bytes, ...]:
    """The VRs whose values these words make coarser; none when they are not of the vocabulary."""
    if _BINS.fullmatch(words):
        return (b"AS",)
    if _POSTAL.fullmatch(words):
        return (b"LO", b"SH")
    return VOCABULARY.get(words, ())


def generalised(words: str, vr: bytes, value: bytes) -> bytes | None:
    """The values, coarser and unpadded; None unless every one is legal for the VR. Empty ones stay empty."""
    coarser = _of(words, vr)
    made = []
    for one in bytes(value).split(b"\\"):
        bare = one.strip(b"\0 ")
        new = coarser(bare) if bare else b""
        if new is None:
            return None
        made.append(new)
    return b"\\".join(made)


@lru_cache(maxsize=64)
def _of(words: str, vr: bytes) -> Coarser:
    if bins := _BINS.fullmatch(words):
        return lambda value: _in_bins(value, int(bins[1]))
    if postal := _POSTAL.fullmatch(words):
        return lambda value: _postal(value, int(postal[1]))
    return {
        ("year", b"DA"): lambda value: _date(value, 4, b"0101"),
        ("month", b"DA"): lambda value: _date(value, 6, b"01"),
        ("year", b"DT"): lambda value: value[:4] if shifted(b"DT", value, 0) else None,
        ("month", b"DT"): lambda value: value[: min(6, _digits(value))] if shifted(b"DT", value, 0) else None,
        ("hour", b"TM"): lambda value: value[:2] + b"0000" if shifted(b"TM", value, 0) else None,
        ("90+", b"AS"): _ninety,
    }[words, vr]


def _date(value: bytes, digits: int, rest: bytes) -> bytes | None:
    legal = shifted(b"DA", value, 0)
    return legal.replace(b".", b"")[:digits] + rest if legal else None


def _digits(value: bytes) -> int:
    """How many a date and time begins with."""
    return len(value) - len(value.lstrip(b"0123456789"))


def _years(value: bytes) -> int | None:
    found = _AGE.fullmatch(value)
    return int(found[1]) // _PER_YEAR[found[2]] if found else None


def _ninety(value: bytes) -> bytes | None:
    years = _years(value)
    if years is None:
        return None
    return b"%03dY" % _OLD if years >= _OLD else value


def _in_bins(value: bytes, width: int) -> bytes | None:
    """The first year of the bin."""
    years = _years(value)
    if years is None:
        return None
    return b"%03dY" % (_OLD if years >= _OLD else years - years % width)


def _postal(value: bytes, count: int) -> bytes | None:
    if not _POSTAL_CODE.fullmatch(value):
        return None
    return _COUNTRY.sub(b"", value, count=1)[:count]
