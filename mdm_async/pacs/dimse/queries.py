"""What C-FIND, C-GET and C-MOVE ask for (PS3.4 §C.4, §C.6): a level, the keys of those above it, and what is to match.

Hierarchical queries alone: at a level, the unique key of each above it has one value. Pure.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any, Final

from mdm_async.catalog.metadata.studies import Row
from mdm_async.dicom.dictionary import keyword_of, tag_of, vr_of
from mdm_async.dicom.elements import Encoding
from mdm_async.dicom.filemeta import is_uid
from mdm_async.dicom.indexed import Level, by_keyword
from mdm_async.dicom.issuers import written
from mdm_async.dicom.query_keys import CHARACTER_SET, QUERY_LEVEL, RETRIEVE_TITLE, Key, answer, keys
from mdm_async.errors import Malformed
from mdm_async.images.studies.asked import INSTANCE, OF_ALL, SERIES, STUDY, condition, demand_few
from mdm_async.names import IDENTIFIED
from mdm_async.pacs.dimse.answers import Unfit
from mdm_async.querying.conditions import Compared, Condition, attributes


class Root(Enum):
    """Of an information model."""

    PATIENT = "patient"
    STUDY = "study"


FIND: Final = {"1.2.840.10008.5.1.4.1.2.1.1": Root.PATIENT, "1.2.840.10008.5.1.4.1.2.2.1": Root.STUDY}
MOVE: Final = {"1.2.840.10008.5.1.4.1.2.1.2": Root.PATIENT, "1.2.840.10008.5.1.4.1.2.2.2": Root.STUDY}
GET: Final = {"1.2.840.10008.5.1.4.1.2.1.3": Root.PATIENT, "1.2.840.10008.5.1.4.1.2.2.3": Root.STUDY}

PATIENT, ISSUER = "PatientID", "IssuerOfPatientID"
_LEVELS: Final = {
    "PATIENT": Level.PATIENT, "STUDY": Level.STUDY, "SERIES": Level.SERIES, "IMAGE": Level.INSTANCE,
}  # fmt: skip
_UNIQUE: Final = {Level.PATIENT: PATIENT, Level.STUDY: STUDY, Level.SERIES: SERIES, Level.INSTANCE: INSTANCE}
_DEPTHS: Final = {level: depth for depth, level in enumerate(_UNIQUE)}
_STUDIES, _SERIES, _INSTANCES = 0x00201200, 0x00201202, 0x00201204
"""How many a patient has."""
_SERIES_OF_STUDY, _OF_STUDY, _OF_SERIES = 0x00201206, 0x00201208, 0x00201209
_COUNTS: Final = {
    Level.PATIENT: frozenset({_STUDIES, _SERIES, _INSTANCES}),
    Level.STUDY: frozenset({_SERIES_OF_STUDY, _OF_STUDY}),
    Level.SERIES: frozenset({_OF_SERIES}),
    Level.INSTANCE: frozenset[int](),
}
_MODALITIES, _CLASSES = 0x00080061, 0x00080062
_OWN: Final = frozenset({CHARACTER_SET, QUERY_LEVEL, RETRIEVE_TITLE})


@dataclass(frozen=True, slots=True)
class Query:
    """An identifier that fits its SOP class."""

    level: Level
    keys: Mapping[int, Key]
    matching: Sequence[tuple[str, str]]
    """Keywords, and what they are to match."""
    told: Sequence[str]
    """Keywords of what is told that is indexed."""
    ignored: frozenset[int]
    """Keys that nothing is found by, or told of, at this level."""

    @property
    def searched(self) -> Level:
        """Patients are put together from their studies."""
        return Level.STUDY if self.level is Level.PATIENT else self.level


def parse(root: Root, data: bytes, encoding: Encoding) -> Query:
    """Raises Unfit."""
    try:
        found = keys(data, encoding)
    except Malformed:
        raise Unfit("the identifier cannot be read") from None
    name = found[QUERY_LEVEL].text if QUERY_LEVEL in found else ""
    level = _LEVELS.get(name)
    if level is None or (level is Level.PATIENT and root is Root.STUDY):
        raise Unfit("there is no such Query/Retrieve Level in this model")
    for above in _above(root, level):
        _demand_one(found, above)
    known = {tag: keyword for tag in found if (keyword := _keyword(tag)) is not None}
    if any(found[tag].has_value and not found[tag].text for tag in known):
        raise Unfit("a value of an attribute is not written as values of it are")
    matching = [
        (keyword, found[tag].text) for tag, keyword in known.items() if _says(keyword, found[tag].text)
    ]
    told = [keyword for keyword in known.values() if keyword in by_keyword() and _is_told(keyword, level)]
    answered = _OWN | _COUNTS[level] | {tag_of(keyword) for keyword in told}
    if level is Level.STUDY:
        answered |= {_MODALITIES, _CLASSES}
    ignored = frozenset(
        tag
        for tag, key in found.items()
        if tag not in answered or (key.has_value and tag not in known and tag not in _OWN)
    )
    return Query(level, found, matching, told, ignored)


def retrieved(root: Root, data: bytes, encoding: Encoding) -> list[Condition]:
    """What must hold of the instances that are retrieved. Raises Unfit; BadQuery as `condition`."""
    query = parse(root, data, encoding)
    if query.level is Level.PATIENT:
        _demand_one(query.keys, query.level)
    if any(query.keys[tag].has_value for tag in query.ignored):
        raise Unfit("an attribute has a value by which nothing is retrieved here")
    found = {keyword: condition(OF_ALL.get(keyword, keyword), text) for keyword, text in query.matching}
    for level in (*_above(root, query.level), query.level):
        if found.get(_UNIQUE[level]) is None:
            raise Unfit(f"{_UNIQUE[level]} has no value")
    conditions = [one for one in found.values() if one is not None]
    demand_few(conditions)
    return conditions


def _above(root: Root, level: Level) -> Iterable[Level]:
    first = Level.PATIENT if root is Root.PATIENT else Level.STUDY
    return [one for one in _UNIQUE if _DEPTHS[first] <= _DEPTHS[one] < _DEPTHS[level]]


def _demand_one(found: Mapping[int, Key], level: Level) -> None:
    unique = _UNIQUE[level]
    key = found.get(tag_of(unique))
    text = key.text if key is not None else ""
    if level is Level.PATIENT:
        if not text.strip() or any(one in text for one in "*?\\"):
            raise Unfit("PatientID has not the one value that it must have")
    elif not is_uid(text):
        raise Unfit(f"{unique} has not the one value that it must have")


def _keyword(tag: int) -> str | None:
    """Of an attribute by which images are found."""
    keyword = keyword_of(f"{tag:08X}")
    return keyword if keyword is not None and (keyword in by_keyword() or keyword in OF_ALL) else None


def _says(keyword: str, text: str) -> bool:
    """Whether not everything matches; nothing in a UID stands for something else."""
    return bool(text) and (bool(text.strip("*")) or (keyword in _UNIQUE.values() and keyword != PATIENT))


def _is_told(keyword: str, level: Level) -> bool:
    return _DEPTHS[by_keyword()[keyword].level] <= _DEPTHS[level]


def told(query: Query, found: Sequence[Row], title: str, encoding: Encoding) -> bytes:
    """An answer: a study, series or instance, or all studies of a patient. `title`: of whom it is retrieved from."""
    row = found[0]
    said: dict[int, tuple[bytes, Sequence[Any]]] = {
        tag: (key.vr, ()) for tag, key in query.keys.items() if tag != CHARACTER_SET
    }

    def tell(tag: int, values: Sequence[Any]) -> None:
        if tag in query.keys:
            said[tag] = (vr_of(tag) or b"UN", values)

    for keyword in query.told:
        tell(tag_of(keyword), row.said.get(keyword, ()))
    match query.level:
        case Level.PATIENT:
            if row.count is not None:
                tell(_STUDIES, [len(found)])
            tell(_SERIES, _sum(one.count_of_series for one in found))
            tell(_INSTANCES, _sum(one.count for one in found))
        case Level.STUDY:
            tell(_MODALITIES, row.modalities)
            tell(_CLASSES, row.classes)
            tell(_SERIES_OF_STUDY, _sum([row.count_of_series]))
            tell(_OF_STUDY, _sum([row.count]))
        case Level.SERIES:
            tell(_OF_SERIES, _sum([row.count]))
    level = next(name for name, level in _LEVELS.items() if level is query.level)
    said |= {QUERY_LEVEL: (b"CS", [level]), RETRIEVE_TITLE: (b"AE", [title])}
    return answer(said, encoding)


def _sum(counts: Iterable[int | None]) -> list[int]:
    """None where not all is counted."""
    known = list(counts)
    return [] if None in known else [sum(one for one in known if one is not None)]


def together(query: Query, rows: Sequence[Row]) -> list[list[Row]]:
    """Rows as they are told: of patients, all studies of one together. Who has no ID may be anybody."""
    if query.level is not Level.PATIENT:
        return [[row] for row in rows]
    patients: dict[tuple[str, ...], list[Row]] = {}
    for row in rows:
        whose = str(next(iter(row.said.get(PATIENT, ())), ""))
        patients.setdefault(("of", whose, *_issuer(row)) if whose else ("", row.study), []).append(row)
    return list(patients.values())


def of_one_issuer(conditions: Sequence[Condition], rows: Sequence[Row]) -> Sequence[Row]:
    """What is retrieved by a Patient ID: of one patient. Of issuers that are found by one spelling, it is that which is
    written so, be it the only one or not. Raises Unfit."""
    by_patient = any(of.name == PATIENT for one in conditions for of in attributes(one))
    issuers = set(map(_issuer, rows))
    if not by_patient or issuers <= {()}:
        return rows
    asked = {
        (written(str(one.to)),)
        for one in conditions
        if isinstance(one, Compared) and one.attribute.name == ISSUER
    }
    if not asked:
        if len(issuers) > 1:
            raise Unfit("equal Patient IDs of several issuers: give IssuerOfPatientID")
        return rows
    of_asked = [row for row in rows if _issuer(row) in asked]
    if not of_asked:
        raise Unfit("no IssuerOfPatientID of this ID is written so")
    return of_asked


def _issuer(row: Row) -> tuple[str, ...]:
    """Of its Patient ID. Pseudonyms are made with it, and are told apart without."""
    return tuple(written(str(one)) for one in row.said.get(ISSUER, ())) if row.view == IDENTIFIED else ()
