"""What is asked for by attributes of DICOM, in the words of its queries (PS3.4 §C.2.2.2, PS3.18 §8.3.4)."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from mdm_async.catalog.metadata.columns import DicomAttribute
from mdm_async.dicom.filemeta import is_uid
from mdm_async.dicom.indexed import Kind, Level, by_keyword
from mdm_async.dicom.values.lexical import is_legal
from mdm_async.errors import BadQuery
from mdm_async.names import View
from mdm_async.querying.conditions import (
    Compared,
    Condition,
    Every,
    Known,
    Like,
    OneOf,
    Operator,
    Some,
    attributes,
)
from mdm_async.querying.grammar import MOST_CONDITIONS
from mdm_async.querying.values import MOST_WILDCARDS
from mdm_async.querying.words import LONGEST_TEXT

STUDY, SERIES, INSTANCE = "StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID"
OF_ALL: Final = {"ModalitiesInStudy": "Modality", "SOPClassesInStudy": "SOPClassUID"}
"""What a study says of its series: asked for, it is enough that one of them has it."""
_DEPTHS: Final = {Level.PATIENT: 0, Level.STUDY: 1, Level.SERIES: 2, Level.INSTANCE: 3}
_AFTER: Final = "~"
"""Behind all digits and points: a time up to 1430 is one up to 143059.999999 too."""


@dataclass(frozen=True, slots=True)
class Uids:
    """A study, or a series of it, or an instance of that; what is None is not said."""

    study: str | None = None
    series: str | None = None
    instance: str | None = None

    @property
    def conditions(self) -> list[Condition]:
        said = {STUDY: self.study, SERIES: self.series, INSTANCE: self.instance}
        return [
            Compared(attribute(name), Operator.EQUAL, uid) for name, uid in said.items() if uid is not None
        ]


@dataclass(frozen=True, slots=True)
class Asked:
    """A search at one level. `matching`: pairs of a keyword and a value, as DICOM's queries write them.

    `path`: None for all that the caller sees. `view`: None for each entry's default view.
    """

    level: Level
    within: Uids
    matching: Sequence[tuple[str, str]] = ()
    path: str | None = None
    view: View | None = None
    offset: int = 0
    limit: int | None = None
    told: Sequence[str] = ()
    """Keywords of what is told of each."""

    def conditions(self) -> tuple[list[Condition], tuple[Condition, ...]]:
        """Those that must hold of an instance for it to count, and those of which it is enough that they hold of one
        among the others of its study or series. Raises BadQuery."""
        all_of = self.within.conditions
        among: list[Condition] = []
        for name, value in self.matching:
            keyword = OF_ALL.get(name, name)
            found = condition(keyword, value)
            if found is None:
                continue
            below = _DEPTHS[by_keyword()[keyword].level] > _DEPTHS[self.level]
            (among if below or name in OF_ALL else all_of).append(found)
        demand_few([*all_of, *among])
        return all_of, tuple(among)


def demand_few(conditions: Iterable[Condition]) -> None:
    """Return when these are no more than a query may have. Raises BadQuery."""
    if sum(1 for one in conditions for _ in attributes(one)) > MOST_CONDITIONS:
        raise BadQuery(
            f"a search has {MOST_CONDITIONS} conditions at the most",
            remedy="name each attribute once; ask in several",
        )


def attribute(keyword: str) -> DicomAttribute:
    """Raises BadQuery for one that is not indexed."""
    row = by_keyword().get(keyword)
    if row is None:
        raise BadQuery(
            "an attribute is asked for that no image is found by here",
            remedy="`mdm meta attributes` names those by which images are found",
        )
    return DicomAttribute.of(keyword, row)


def condition(keyword: str, value: str) -> Condition | None:
    """None for a value that everything matches: an empty one, and '*'. Raises BadQuery."""
    of = attribute(keyword)
    value = value.strip(" \0")
    if len(value) > LONGEST_TEXT and of.row.kind is not Kind.UID:
        raise BadQuery(f"a value has {LONGEST_TEXT} characters at the most")
    if "\0" in value:
        raise BadQuery("NUL stands in no value")
    if not value:
        return None
    match of.row.kind:
        case Kind.UID:
            return _uids(of, value)
        case Kind.NUMBER:
            return _number(of, value)
        case Kind.DATE | Kind.TIME:
            return _moments(of, value)
        case _:
            return _text(of, value)


def _uids(of: DicomAttribute, value: str) -> Condition:
    """One of a list (PS3.4 §C.2.2.2.2). Nothing in a UID stands for something else."""
    uids = tuple(one.strip() for one in value.replace("\\", ",").split(","))
    if not all(map(is_uid, uids)):
        raise BadQuery(f"a value of {of.name} is no UID", remedy="write UIDs with commas between them")
    return OneOf(of, uids) if len(uids) > 1 else Compared(of, Operator.EQUAL, uids[0])


def _number(of: DicomAttribute, value: str) -> Condition:
    if not is_legal(b"DS", value.encode()) or "\\" in value:
        raise BadQuery(f"the value of {of.name} is no number")
    return Compared(of, Operator.EQUAL, float(value))


def _moments(of: DicomAttribute, value: str) -> Condition:
    """A date or a time, or a range of them (PS3.4 §C.2.2.2.5)."""
    is_time = of.row.kind is Kind.TIME
    vr = b"TM" if is_time else b"DA"
    first, to, last = value.replace(":", "").partition("-") if is_time else value.partition("-")
    bounds = [one.strip() for one in ((first, last) if to else (first,))]
    if not any(bounds) or not all(one.isascii() and is_legal(vr, one.encode()) for one in bounds):
        what = "time" if is_time else "date"
        example = "143000 or 1400-1430" if is_time else "20260131 or 20260101-20260131"
        raise BadQuery(f"the value of {of.name} is no {what} and no range of them", remedy=f"write {example}")
    bounds = [one.replace(".", "") for one in bounds] if not is_time else bounds
    if not to:
        return Like(of, f"{bounds[0]}*") if is_time else Compared(of, Operator.EQUAL, bounds[0])
    found: list[Condition] = []
    if bounds[0]:
        found.append(Compared(of, Operator.MORE_OR_EQUAL, bounds[0]))
    if bounds[1]:
        found.append(Compared(of, Operator.LESS_OR_EQUAL, bounds[1] + (_AFTER if is_time else "")))
    return found[0] if len(found) == 1 else Every(tuple(found))


def _text(of: DicomAttribute, value: str) -> Condition | None:
    """With '*' and '?' a pattern (PS3.4 §C.2.2.2.4); else the very text, one of several between backslashes."""
    found = [_one(of, text) for one in value.split("\\") if (text := one.strip())]
    if not found:
        raise BadQuery(
            f"the value of {of.name} is blank", remedy="leave it out, or empty, where everything is to match"
        )
    if any(one is None for one in found):
        return None
    conditions = tuple(one for one in found if one is not None)
    if len(conditions) == 1:
        return conditions[0]
    texts = tuple(one.to for one in conditions if isinstance(one, Compared) and isinstance(one.to, str))
    return OneOf(of, texts) if len(texts) == len(conditions) else Some(conditions)


def _one(of: DicomAttribute, value: str) -> Condition | None:
    if value.strip("*") == "":
        return None
    if "*" not in value and "?" not in value:
        return Compared(of, Operator.EQUAL, value)
    if sum(map(value.count, "*?")) > MOST_WILDCARDS:
        raise BadQuery(f"a pattern has {MOST_WILDCARDS} of '*' and '?' at the most")
    return Like(of, value)


def known(keyword: str) -> Condition:
    return Known(attribute(keyword))
