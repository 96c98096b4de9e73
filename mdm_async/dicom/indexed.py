"""The attributes that are indexed: by which images are searched for.

`tables/indexed.csv` has a row for each: those that QIDO-RS (PS3.18 §10.6) and C-FIND (PS3.4 §C.6) ask for, and what
describes how an image was made.
"""

import csv
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from importlib import resources
from types import MappingProxyType
from typing import Final

REVISION: Final = 2
"""Of the table and of how values are read: all that is stored is indexed anew when it grows."""


class Level(StrEnum):
    """What an attribute is kept with. What is the same in nearly all images of a series is kept with the series."""

    PATIENT = "patient"
    STUDY = "study"
    SERIES = "series"
    INSTANCE = "instance"


class Kind(StrEnum):
    """What its values are. Dates and times are texts as DICOM writes them, so that they sort: 20240131, 235959.5."""

    TEXT = "text"
    NAME = "name"
    NUMBER = "number"
    DATE = "date"
    TIME = "time"
    UID = "uid"


@dataclass(frozen=True, slots=True)
class Indexed:
    """One attribute."""

    tag: int
    keyword: str
    level: Level
    kind: Kind
    blind: bool
    """Whether originals are found by it, with a keyed digest of its value."""


@cache
def indexed() -> Mapping[int, Indexed]:
    """All of them by tag, in ascending order."""
    table = resources.files("mdm_async.dicom.tables") / "indexed.csv"
    rows = map(_indexed, csv.DictReader(table.read_text(encoding="ascii").splitlines()))
    return MappingProxyType({row.tag: row for row in rows})


@cache
def by_keyword() -> Mapping[str, Indexed]:
    return MappingProxyType({row.keyword: row for row in indexed().values()})


def _indexed(row: Mapping[str, str]) -> Indexed:
    tag = int(row["tag"][1:5] + row["tag"][6:10], 16)
    return Indexed(tag, row["keyword"], Level(row["level"]), Kind(row["kind"]), row["blind"] == "yes")
