"""PS3.15 Table E.1-1 as it is printed: what the basic profile and each of its options say of every attribute."""

import csv
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Final

EDITION: Final = "2025e"

OPTIONS: Final = (
    "retain_safe_private",
    "retain_uids",
    "retain_device_identity",
    "retain_institution_identity",
    "retain_patient_characteristics",
    "retain_longitudinal_full_dates",
    "retain_longitudinal_modified_dates",
    "clean_descriptors",
    "clean_structured_content",
    "clean_graphics",
)
"""The options of PS3.15 §E.3 by the names of their columns, in the table's order."""


@dataclass(frozen=True, slots=True)
class Row:
    """One row: the tag as printed ("(0010,0010)", "(60xx,3000)"), the attribute's name, its codes."""

    tag: str
    name: str
    basic: str
    options: Mapping[str, str]
    """K or C by option; an option that says nothing of this attribute is not there."""

    @property
    def single(self) -> int | None:
        """The tag, when the row is about one attribute rather than a repeating group or all private ones."""
        printed = self.tag[1:5] + self.tag[6:10]
        return int(printed, 16) if len(self.tag) == 11 and "x" not in printed else None


@cache
def rows() -> tuple[Row, ...]:
    """Every row, in the table's order."""
    return tuple(
        Row(row["tag"], row["name"], row["basic"], {option: row[option] for option in OPTIONS if row[option]})
        for row in csv.DictReader(lines("e1-1"))
    )


def lines(table: str) -> list[str]:
    """The lines of one of the package's tables of this edition, by its number in PS3.15."""
    name = f"ps3.15-table-{table}-{EDITION}.csv"
    return (resources.files("mdm_async.dicom.tables") / name).read_text(encoding="utf-8").splitlines()
