"""The attributes that queries name, and where their values stand in a statement.

Whatever stands in a query gets into a statement as a parameter.
"""

from dataclasses import dataclass, field
from typing import Final

from mdm_async.dicom.dictionary import most_values
from mdm_async.dicom.indexed import Indexed, Level
from mdm_async.dicom.indexed import Kind as DicomKind
from mdm_async.querying.attributes import Attribute, Kind

_KINDS: Final = {
    DicomKind.TEXT: Kind.TEXT,
    DicomKind.NAME: Kind.TEXT,
    DicomKind.NUMBER: Kind.NUMBER,
    DicomKind.DATE: Kind.DATE,
    DicomKind.TIME: Kind.TIME,
    DicomKind.UID: Kind.UID,
}
_TABLES: Final = {
    Level.PATIENT: "patient",
    Level.STUDY: "study",
    Level.SERIES: "series",
    Level.INSTANCE: "instance",
}


@dataclass(frozen=True, slots=True)
class DicomAttribute(Attribute):
    """What a view's bytes say."""

    row: Indexed

    @classmethod
    def of(cls, name: str, row: Indexed) -> "DicomAttribute":
        return cls(name, _KINDS[row.kind], row)

    @property
    def many(self) -> bool:
        return most_values(self.row.tag) != 1


@dataclass(frozen=True, slots=True)
class BlindAttribute(Attribute):
    """What an original says, as keyed digests in hexadecimal: two values are equal or not, and no more is known."""

    tag: int


@dataclass(frozen=True, slots=True)
class OwnAttribute(Attribute):
    """What somebody has said of entries."""

    id: int
    """Of the attribute of a collection."""


@dataclass(frozen=True, slots=True)
class JoinedAttribute(Attribute):
    """One of the entries that are joined under an alias."""

    alias: str
    of: Attribute

    @property
    def many(self) -> bool:
        return self.of.many


@dataclass(slots=True)
class Arguments:
    """A statement's parameters, as they come."""

    values: list[object] = field(default_factory=list)

    def add(self, value: object, kind: str) -> str:
        """The parameter's place in the statement; `kind`: its type in SQL."""
        self.values.append(value)
        return f"${len(self.values)}::{kind}"


def values(attribute: Attribute, arguments: Arguments) -> str:
    """The attribute's values in a row, as an array in jsonb; null or an empty one where there are none.

    In the row there are `e` (the entry), `instance`, `series`, `study`, `patient` (what its view's bytes say), and for
    each alias of a join `joined_<place>`.
    """
    match attribute:
        case DicomAttribute(row=row):
            return f"{_TABLES[row.level]}.attributes -> {arguments.add(row.keyword, 'text')}"
        case OwnAttribute(id=id_):
            return (
                "(select jsonb_agg(coalesce(to_jsonb(own.number), to_jsonb(own.text))) from own_values own"
                f" where own.entry = e.id and own.attribute = {arguments.add(id_, 'bigint')})"
            )
        case BlindAttribute(tag=tag):
            return (
                "(select jsonb_agg(encode(original.blind, 'hex')) from blind_values original"
                f" where original.image = e.image and original.tag = {arguments.add(tag, 'int')})"
            )
        case JoinedAttribute():
            return f"e.joined -> {arguments.add(attribute.name, 'text')}"
    raise TypeError(attribute)


def all_values() -> str:
    """All that the view's bytes say, by keyword."""
    return "patient.attributes || study.attributes || series.attributes || instance.attributes"


def chosen(attributes: "tuple[Attribute, ...]", arguments: Arguments) -> str:
    """The values of some, by name; what has none is null."""
    if not attributes:
        return "'{}'::jsonb"
    pairs = [f"{arguments.add(one.name, 'text')}, {values(one, arguments)}" for one in attributes]
    some = (pairs[start : start + _PAIRS] for start in range(0, len(pairs), _PAIRS))
    return " || ".join(f"jsonb_build_object({', '.join(each)})" for each in some)


_PAIRS: Final = 50
"""A function takes a hundred arguments."""


SAID: Final = """
    left join lateral (
        select version, series, attributes from view_attributes
        where image = e.image and view = e.view and e.readable and version = any({VERSIONS})
        order by array_position({VERSIONS}, version) limit 1
    ) instance on true
    left join lateral (
        select parent, attributes from meta_sets where id = instance.series limit 1) series on true
    left join lateral (
        select parent, attributes from meta_sets where id = series.parent limit 1) study on true
    left join lateral (
        select attributes from meta_sets where id = study.parent limit 1) patient on true
"""
"""What the views' bytes say of rows `e` (id, image, view, readable). {VERSIONS}: those in force, the newest first."""

SAID_BY_ORIGINALS: Final = """
    left join lateral (
        select 'original' as version, '{}'::jsonb as attributes from original_attributes
        where image = e.image and e.readable limit 1
    ) instance on true
    cross join (select null::jsonb as attributes) series
    cross join (select null::jsonb as attributes) study
    cross join (select null::jsonb as attributes) patient
"""
"""As SAID, of originals: nothing that can be read here."""
