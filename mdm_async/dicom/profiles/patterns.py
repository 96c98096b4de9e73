"""Patterns by which one rule of a site reaches many attributes: "Patient*", "(0010,xxxx)", "VR:LT".

A pattern reaches attributes of the public dictionary; what is in neither the dictionary nor a rule is removed anyway.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from enum import IntEnum
from fnmatch import fnmatchcase
from functools import cache, lru_cache
from typing import Final, Self

from pydicom._dicom_dict import DicomDictionary, RepeatersDictionary

_TAG: Final = re.compile(r"\(?([0-9A-FX]{4}),([0-9A-FX]{4})\)?", re.IGNORECASE)
_GLOB: Final = re.compile(r"[A-Za-z0-9]*[*?][A-Za-z0-9*?]*")
_VR: Final = re.compile("VR:([A-Z]{2})")
_MOST_REPEATED: Final = 256
"""Of one entry of the dictionary; (1000,xxx0) and (1010,xxxx), retired since 1993, are more and are not reached."""


class Kind(IntEnum):
    """What is more specific is higher, and wins."""

    VR = 1
    TAG = 2
    KEYWORD = 3
    EXACT = 4
    """No pattern: one attribute by its keyword, its tag, or its creator and tag."""


@dataclass(frozen=True, slots=True, order=True)
class Pattern:
    """`text` in one spelling: "VR:LT", "0010,xxxx" with small x and capital digits, "Patient*"."""

    kind: Kind
    text: str

    @classmethod
    def of(cls, key: str) -> Self | None:
        """The pattern that a key of a profile file is, None when it is none."""
        if _VR.fullmatch(key):
            return cls(Kind.VR, key)
        if (tag := _TAG.fullmatch(key)) and "X" in key.upper():
            return cls(Kind.TAG, f"{tag[1]},{tag[2]}".upper().replace("X", "x"))
        if _GLOB.fullmatch(key):
            return cls(Kind.KEYWORD, key)
        return None

    def __str__(self) -> str:
        return f"({self.text})" if self.kind is Kind.TAG else self.text

    @property
    def reach(self) -> frozenset[int]:
        """The attributes that it reaches, those of repeating groups under their first group where it reaches all."""
        return _reach(self)


@lru_cache(maxsize=1024)
def _reach(pattern: Pattern) -> frozenset[int]:
    if pattern.kind is Kind.TAG:
        return frozenset(_by_tag(pattern.text))
    if pattern.kind is Kind.VR:
        wanted = pattern.text.removeprefix("VR:")
        return frozenset(tag for tag, _, vrs, _ in _entries() if wanted in vrs)
    return frozenset(
        tag for tag, _, _, keyword in _entries() if keyword and fnmatchcase(keyword, pattern.text)
    )


def _by_tag(text: str) -> Iterator[int]:
    wanted = re.compile(text.replace(",", "").replace("x", "[0-9A-F]"))
    for tag, groups, _, _ in _entries():
        found = [group for group in groups if wanted.fullmatch(f"{group << 16 | tag & 0xFFFF:08X}")]
        if len(found) == len(groups):
            yield tag
        else:
            yield from (group << 16 | tag & 0xFFFF for group in found)


@cache
def _entries() -> tuple[tuple[int, tuple[int, ...], tuple[str, ...], str], ...]:
    """(tag, groups in which it stands, VRs, keyword) of every public attribute."""
    single = [
        (tag, (tag >> 16,), tuple(entry[0].split(" or ")), entry[4]) for tag, entry in DicomDictionary.items()
    ]
    repeated = [
        (tag, groups, tuple(entry[0].split(" or ")), entry[4])
        for mask, entry in RepeatersDictionary.items()
        for tag, groups in _repeated(mask)
    ]
    return tuple(sorted(single + repeated))


def _repeated(mask: str) -> Iterator[tuple[int, tuple[int, ...]]]:
    """(first tag, groups) of "60xx3000"; one for each element of "002031xx"."""
    if mask[2:4] == "xx":
        yield (
            int(mask.replace("x", "0"), 16),
            tuple(range(int(mask[:2], 16) << 8, (int(mask[:2], 16) + 1) << 8, 2)),
        )
    elif 16 ** mask.count("x") <= _MOST_REPEATED:
        holes = mask.count("x")
        for number in range(16**holes):
            digits = iter(f"{number:0{holes}X}")
            tag = int("".join(next(digits) if digit == "x" else digit for digit in mask), 16)
            yield tag, (tag >> 16,)
