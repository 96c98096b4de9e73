"""The reviewed attributes: what is done to attributes that PS3.15 Table E.1-1 does not name, and why.

`tables/attributes.csv` has a row for every attribute of the dictionary outside that table that can hold text, a name, a
date, an identifier or opaque bytes, and for some sequences, numbers and code strings. A DICOM person reads and corrects
it there.
"""

import csv
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib import resources
from types import MappingProxyType


@dataclass(frozen=True, slots=True)
class Reviewed:
    """One row."""

    tag: int
    """Of repeating groups and elements, the first."""
    keyword: str
    vr: str
    """As the dictionary has it: "LO", "OB or OW"."""
    action: str
    """A letter, as of `attribute_rules.Action`."""
    keeps: str
    """What kept text has to pass (`values.kept_text`), or ""."""
    under: Mapping[str, str]
    """The letter by option, of those that make another of it."""
    reason: str
    """In words."""


@cache
def reviewed() -> Mapping[int, Reviewed]:
    """Every row by its tag, in ascending order."""
    table = resources.files("mdm_async.dicom.tables") / "attributes.csv"
    rows = csv.DictReader(table.read_text(encoding="ascii").splitlines())
    return MappingProxyType({row.tag: row for row in map(_reviewed, rows)})


@cache
def under_every_base() -> frozenset[int]:
    """The attributes whose rows hold under the base "ps3.15" too: signatures, UIDs and addresses that it forgets."""
    table = resources.files("mdm_async.dicom.tables") / "under-every-base.csv"
    rows = csv.DictReader(table.read_text(encoding="ascii").splitlines())
    return frozenset(_tag(row["tag"]) for row in rows)


def first_of(tag: int) -> int:
    """The tag under which the rows of a repeating group or element stand: 0x60000022 for (6002,0022)."""
    if tag >> 24 in (0x50, 0x60, 0x7F) and not tag >> 16 & 1 and tag >> 16 != 0x7FE0:
        return tag & 0xFF00FFFF
    if tag >> 8 == 0x002031:
        return 0x00203100
    if tag >> 8 in (0x002804, 0x002808) and tag & 0xFF >= 0x10:
        return tag & 0xFFFFFF0F
    return tag


def _reviewed(row: Mapping[str, str]) -> Reviewed:
    return Reviewed(
        _tag(row["tag"]),
        row["keyword"],
        row["vr"],
        row["action"],
        row["keeps"],
        dict(pair.split("=") for pair in row["under"].split()),
        row["reason"],
    )


def _tag(printed: str) -> int:
    return int((printed[1:5] + printed[6:10]).replace("x", "0"), 16)
