"""Codes of published schemes: what they mean, and whether a value can be a code of its scheme at all.

pydicom carries the standard's dictionaries of codes (PS3.16); `tables/codes-beside.csv` has further meanings: of ECG
leads, plurals of units, languages. A code that is in none can still be published: SNOMED CT
has some 350,000. So for schemes whose codes have a shape of their own, or a check digit, the shape is enough; for
schemes of plain numbers, which could be a patient's, only what the dictionaries hold counts.
"""

import csv
import re
from collections.abc import Mapping
from functools import cache
from importlib import resources
from typing import Final

from mdm_async.dicom.values.ucum import is_unit

_RETIRED_SNOMED: Final = frozenset({b"SRT", b"SNM3", b"99SDM"})
_SHAPES: Final = {
    b"I10": re.compile(rb"[A-TV-Z][0-9][0-9AB](\.[0-9A-Z]{1,3})?"),
    b"I10C": re.compile(rb"[A-TV-Z][0-9][0-9AB](\.[0-9A-Z]{1,4})?"),
    b"I9": re.compile(rb"([0-9]{3}|V[0-9]{2}|E[0-9]{3})(\.[0-9]{1,2})?"),
    b"I9C": re.compile(rb"([0-9]{3}|V[0-9]{2}|E[0-9]{3})(\.[0-9]{1,2})?"),
    b"ISO3166_1": re.compile(rb"[A-Z]{2}"),
    b"ISO639_1": re.compile(rb"[a-z]{2}"),
    b"NCIt": re.compile(rb"C[0-9]{4,6}"),
    b"RADLEX": re.compile(rb"RID[0-9]{1,6}"),
    b"RFC3066": re.compile(rb"[a-z]{2}(-[A-Z]{2})?"),
    b"RFC5646": re.compile(rb"[a-z]{2}(-[A-Z]{2})?"),
    b"SCPECG": re.compile(rb"5\.[0-9]{1,2}(\.[0-9]{1,2}){0,2}(-[0-9]{1,3}){0,3}"),
}
_LOINC: Final = re.compile(rb"[0-9]{1,5}-[0-9]")
_DAY: Final = re.compile(
    rb"(?:18[89]\d|19\d\d|20[0-3]\d)(?:0[1-9]|1[0-2])(?:0[1-9]|[12]\d|3[01])(?:(?:[01]\d|2[0-3])(?:[0-5]\d){0,2})?"
)
_SCTID: Final = re.compile(rb"[1-9][0-9]{3,15}[01]0[0-9]")
"""Of a concept: 6 to 18 digits, partition 00 or 10 before the check digit."""


def published_meanings(scheme: bytes, value: bytes) -> tuple[bytes, ...]:
    """All meanings that are published for a code, the standard's own first; none where we do not know of any.

    `scheme` is the scheme's designator.
    """
    if scheme in _RETIRED_SNOMED:
        scheme, value = b"SCT", _from_retired().get(value, b"")
    found = _meanings().get(scheme, {}).get(value, ())
    return (*found, value) if scheme == b"UCUM" and is_unit(value) else found


def has_shape(scheme: bytes, value: bytes) -> bool:
    """Whether a value can be a code of a published scheme: it is known, or has the shape of the scheme's codes.

    What reads as a day is no code unless it is known: of those every tenth has a fitting check digit.
    """
    if published_meanings(scheme, value):
        return True
    if _DAY.fullmatch(value):
        return False
    if scheme in _RETIRED_SNOMED:
        return value in _from_retired()
    if scheme == b"SCT":
        return len(value) <= 18 and _SCTID.fullmatch(value) is not None and _verhoeff(value) == 0
    if scheme == b"LN":
        return _LOINC.fullmatch(value) is not None and _luhn(value.replace(b"-", b""))
    if scheme == b"UCUM":
        return is_unit(value)
    shape = _SHAPES.get(scheme)
    return shape is not None and shape.fullmatch(value) is not None


@cache
def _meanings() -> Mapping[bytes, Mapping[bytes, tuple[bytes, ...]]]:
    # Read only for files with codes: it takes a third of a second.
    from pydicom.sr._concepts_dict import concepts

    found: dict[bytes, dict[bytes, tuple[bytes, ...]]] = {}
    schemes: dict[str, dict[str, dict[str, tuple[str, list[int]]]]] = concepts  # type: ignore[assignment]
    for scheme, keywords in schemes.items():
        codes = found.setdefault(scheme.encode(), {})
        for of in keywords.values():
            for value, (meaning, _) in of.items():
                text = meaning.replace("\u200b", "")
                if text.isascii() and len(text) <= 64 and "\\" not in text:
                    codes[value.encode()] = (*codes.get(value.encode(), ()), text.encode())
                else:
                    codes.setdefault(value.encode(), ())
    table = resources.files("mdm_async.dicom.tables") / "codes-beside.csv"
    for row in csv.DictReader(table.read_text(encoding="ascii").splitlines()):
        codes, code = found.setdefault(row["scheme"].encode(), {}), row["value"].encode()
        codes[code] = (*codes.get(code, ()), row["meaning"].encode())
    return found


@cache
def _from_retired() -> Mapping[bytes, bytes]:
    from pydicom.sr._snomed_dict import mapping

    return {old.encode(): new.encode() for old, new in mapping["SRT"].items()}


# The dihedral group of order 10 and its permutations.
_TURN: Final = tuple(
    tuple(
        (a + b) % 5 + (0 if b < 5 else 5) if a < 5 else (a - b) % 5 + (5 if b < 5 else 0) for b in range(10)
    )
    for a in range(10)
)
_FIRST_SHUFFLE: Final = (1, 5, 7, 6, 2, 8, 3, 0, 9, 4)


def _verhoeff(digits: bytes) -> int:
    """0 when the last digit checks the others (SNOMED CT, Verhoeff)."""
    check, shuffle = 0, tuple(range(10))
    for digit in reversed(digits):
        check = _TURN[check][shuffle[digit - 48]]
        shuffle = tuple(_FIRST_SHUFFLE[of] for of in shuffle)
    return check


def _luhn(digits: bytes) -> bool:
    """Whether the last digit checks the others (LOINC, mod 10)."""
    total = 0
    for place, digit in enumerate(reversed(digits)):
        number = (digit - 48) * (2 if place & 1 else 1)
        total += number - 9 if number > 9 else number
    return total % 10 == 0
