"""The same of originals, which are found by equality alone, and told once they are opened. Each is in the audit."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field, replace
from sys import intern
from typing import Any, Final
from uuid import UUID

from mdm_async.catalog.metadata.studies import Row, Rows
from mdm_async.dicom.indexed import Level
from mdm_async.errors import BadQuery
from mdm_async.images.metadata import finding
from mdm_async.images.metadata.asked import Asked as Query
from mdm_async.images.metadata.asked import Match
from mdm_async.images.metadata.rows import Desk
from mdm_async.images.studies.asked import INSTANCE, SERIES, STUDY, Asked, attribute
from mdm_async.names import IDENTIFIED, Caller
from mdm_async.querying.conditions import Compared, Condition, OneOf, Operator, Some

MOST_OPENED: Final = 1_000
"""For one answer, where nothing says which are meant."""
_MEANING: Final = (INSTANCE, SERIES, STUDY, "PatientID", "AccessionNumber")
"""Attributes whose very value says it, that of which the fewest have one first."""
_OF_SERIES: Final = ("Modality", "SOPClassUID")
_GROUPED: Final = (STUDY, SERIES, INSTANCE, *_OF_SERIES)
_TOGETHER: Final = 200
"""Originals of which all that is asked for is told at once."""
_DEPTHS: Final = {Level.STUDY: 1, Level.SERIES: 2, Level.INSTANCE: 3}


@dataclass(slots=True)
class _Group:
    """A study, series or instance, as the oldest of its entries tells it."""

    uids: tuple[str, str, str]
    entry: int
    guid: UUID
    image: UUID
    said: Mapping[str, list[Any]]
    modalities: tuple[str, ...]
    classes: tuple[str, ...]
    entries: list[int]


@dataclass(slots=True)
class _Counted:
    """Of all of a study or series."""

    series: set[str] = field(default_factory=set)
    instances: set[str] = field(default_factory=set)
    modalities: set[str] = field(default_factory=set)
    classes: set[str] = field(default_factory=set)


async def of_originals(
    desk: Desk,
    caller: Caller,
    asked: Asked,
    all_of: Sequence[Condition],
    among: Sequence[Condition],
    limit: int,
    *,
    most: int,
    unseen: bool,
) -> Rows:
    """`most`: how many are opened where values say which are meant. Raises BadQuery for what originals are not found
    by; and as `finding.begin`."""
    query = " and ".join(map(_said, [*all_of, *among])) or f"{STUDY} is known"
    valued = _valued([*all_of, *among])
    most = most if valued is not None else MOST_OPENED
    kept = asked.told if unseen else ()
    chosen = tuple(dict.fromkeys((*_GROUPED, *kept)))
    wanted = Query(query, asked.path, IDENTIFIED, chosen, limit=most + 1, unseen=unseen, valued=valued)
    found = _Found(_DEPTHS[asked.level], kept)
    seen = 0
    async with aclosing(finding.find(desk, caller, wanted)) as matches:
        async for one in matches:
            seen += 1
            if seen <= most:
                found.add(one)
    keys = sorted(found.groups)
    page = keys[asked.offset : asked.offset + limit]
    said = {} if unseen else await _told(desk, [found.groups[key] for key in page], asked.told)
    rows = [found.row(key, said) for key in page]
    return Rows(rows, max(0, len(keys) - asked.offset - len(rows)), seen > most)


def _valued(conditions: Sequence[Condition]) -> str | None:
    """The attribute whose index leads to all that can match."""
    named = {one.attribute.name for one in conditions if isinstance(one, Compared | OneOf)}
    return next((name for name in _MEANING if name in named), None)


@dataclass(slots=True)
class _Found:
    """Put together as they come, so that no more is held than is told. `depth`: how many UIDs name a group; `kept`:
    what is kept of each."""

    depth: int
    kept: Sequence[str]
    groups: dict[tuple[str, ...], _Group] = field(default_factory=dict)
    counts: defaultdict[tuple[str, ...], _Counted] = field(default_factory=lambda: defaultdict(_Counted))

    def add(self, one: Match) -> None:
        study, series, instance = (intern(_first(one, name)) for name in (STUDY, SERIES, INSTANCE))
        if one.image is None or not (study and series and instance):
            return
        uids = (study, series, instance)
        key = uids[: self.depth]
        modality, sop_class = (tuple(filter(None, [intern(_first(one, name))])) for name in _OF_SERIES)
        said = {name: one.values[name] for name in self.kept if name in one.values}
        new = _Group(uids, one.entry, one.guid, one.image, said, modality, sop_class, [one.entry])
        old = self.groups.setdefault(key, new)
        if old is not new:
            entries = [*old.entries, one.entry] if self.depth == _DEPTHS[Level.INSTANCE] else []
            self.groups[key] = replace(min(old, new, key=lambda each: each.entry), entries=entries)
        if self.depth < _DEPTHS[Level.INSTANCE]:
            counted = self.counts[key]
            counted.series.add(series)
            counted.instances.add(instance)
            counted.modalities.update(modality)
            counted.classes.update(sop_class)

    def row(self, key: tuple[str, ...], said: Mapping[UUID, Mapping[str, Any]]) -> Row:
        """`said`: of images, beside what is kept."""
        of = self.groups[key]
        counted = self.counts.get(key)
        return Row(
            *of.uids,
            of.guid,
            IDENTIFIED,
            {**of.said, **said.get(of.image, {})},
            1 if counted is None else len(counted.series),
            1 if counted is None else len(counted.instances),
            of.modalities if counted is None else tuple(sorted(counted.modalities)),
            of.classes if counted is None else tuple(sorted(counted.classes)),
            sorted((entry, IDENTIFIED) for entry in of.entries),
        )


def _first(one: Match, name: str) -> str:
    return str(next(iter(one.values.get(name, ())), ""))


async def _told(desk: Desk, groups: Sequence[_Group], told: Sequence[str]) -> dict[UUID, Mapping[str, Any]]:
    """What these images say, which are in the audit by now."""
    assert desk.originals is not None
    found: dict[UUID, Mapping[str, Any]] = {}
    images, columns = [one.image for one in groups], list(map(attribute, told))
    for start in range(0, len(images), _TOGETHER):
        some = images[start : start + _TOGETHER]
        found |= await desk.originals.values(desk.database, some, columns, everything=False)
    return found


def _said(condition: Condition) -> str:
    """As a query says it."""
    match condition:
        case Compared(asked, Operator.EQUAL, str() as value):
            return f"{asked.name} = {_quoted(value)}"
        case Compared(asked, Operator.EQUAL, float() as number):
            return f"{asked.name} = {number!r}"
        case OneOf(asked, values):
            return f"{asked.name} in ({', '.join(_quoted(str(one)) for one in values)})"
        case Some(of):
            return f"({' or '.join(map(_said, of))})"
    raise BadQuery(
        "originals are found by equal values alone",
        remedy="leave out ranges, '*' and '?'; or ask about a de-identified view",
    )


def _quoted(value: str) -> str:
    return '"' + value.replace('"', '""') + '"'
