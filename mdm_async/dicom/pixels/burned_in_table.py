"""The rows of burned-in-evidence.csv: which values of which attributes say that a picture may show text."""

import csv
import re
from collections.abc import Mapping
from dataclasses import dataclass
from fnmatch import translate
from functools import cache
from importlib import resources
from typing import Final

from mdm_async.dicom.profiles.keywords import tag_of

_UNKNOWN: Final = frozenset({"*", "1.2.840.10008.*"})


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the table."""

    value: str
    """A pattern as of fnmatch, in capitals, for one value of the attribute."""
    passes: bool
    """Pictures of which this is said show no text."""
    what: str
    """What it says that the picture is, in words."""
    unless_class: str
    """The SOP class for which this is ordinary; "" when there is none."""

    @property
    def known(self) -> bool:
        """Whether it names what it is about, rather than all that no other row names."""
        return self.value not in _UNKNOWN


class Judgement:
    """The rows about one attribute. Exact values beat patterns, and earlier patterns later ones."""

    def __init__(self, rows: list[Row]) -> None:
        self._exact = {row.value: row for row in rows if not set(row.value) & set("*?[")}
        self._patterns = [
            (re.compile(translate(row.value)), row) for row in rows if row.value not in self._exact
        ]

    def of(self, value: str) -> Row | None:
        """The row about this value, which is in capitals."""
        if (exact := self._exact.get(value)) is not None:
            return exact
        return next((row for pattern, row in self._patterns if pattern.match(value)), None)


@cache
def judgements() -> Mapping[int, Judgement]:
    """By attribute."""
    by_tag: dict[int, list[Row]] = {}
    text = (resources.files("mdm_async.dicom.tables") / "burned-in-evidence.csv").read_text(encoding="utf-8")
    for row in csv.DictReader(text.splitlines()):
        tag = tag_of(row["attribute"])
        assert tag is not None, row["attribute"]
        by_tag.setdefault(tag, []).append(
            Row(row["value"], row["passes"] == "yes", row["what"], row["unless_class"])
        )
    return {tag: Judgement(rows) for tag, rows in by_tag.items()}
