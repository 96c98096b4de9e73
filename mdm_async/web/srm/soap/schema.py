"""The types, enumerations and operations of SRM v2.2, as the tables beside this file have them."""

import csv
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import resources

NAMESPACE = "http://srm.lbl.gov/StorageResourceManager"
SIMPLE = ("anyURI", "boolean", "dateTime", "int", "string", "unsignedLong")
"""The types of XML Schema that occur."""


@dataclass(frozen=True, slots=True)
class Field:
    name: str
    type: str
    is_required: bool
    is_list: bool
    is_nillable: bool


@dataclass(frozen=True, slots=True)
class Called:
    """An operation: what its request and its response are wrapped in, and their types."""

    name: str
    request_part: str
    request_type: str
    response_part: str
    response_type: str


def _rows(table: str) -> Iterator[dict[str, str]]:
    text = (resources.files(__package__) / "tables" / f"{table}.csv").read_text()
    yield from csv.DictReader(text.splitlines())


def _types() -> dict[str, dict[str, Field]]:
    found: dict[str, dict[str, Field]] = {}
    for row in sorted(_rows("types"), key=lambda row: int(row["order"])):
        found.setdefault(row["type"], {})[row["field"]] = Field(
            row["field"],
            row["field_type"],
            row["min_occurs"] != "0",
            row["max_occurs"] == "unbounded",
            row["nillable"] == "true",
        )
    return found


def _enumerations() -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for row in _rows("enums"):
        found.setdefault(row["type"], []).append(row["value"])
    return found


TYPES = _types()
"""Of each structure its fields, in order."""
ENUMERATIONS = _enumerations()
OPERATIONS = {row["operation"]: Called(*row.values()) for row in _rows("operations")}


def array_field(kind: str) -> Field | None:
    """The one field of an `ArrayOf…`, which has no meaning of its own; None of other types."""
    fields = TYPES.get(kind, {})
    only = next(iter(fields.values()), None)
    return only if only is not None and only.is_list else None
