"""The same of originals, which are found by equality alone, and told once they are opened. Each is in the audit."""

from collections import defaultdict
from collections.abc import Sequence
from typing import Final

from mdm_async.catalog.metadata.studies import Row, Rows
from mdm_async.dicom.indexed import Level
from mdm_async.errors import BadQuery
from mdm_async.images.metadata import finding
from mdm_async.images.metadata.asked import EVERYTHING, Match
from mdm_async.images.metadata.asked import Asked as Query
from mdm_async.images.metadata.rows import Desk
from mdm_async.images.studies.asked import INSTANCE, SERIES, STUDY, Asked
from mdm_async.names import IDENTIFIED, Caller
from mdm_async.querying.conditions import Compared, Condition, OneOf, Operator, Some

MOST_OPENED: Final = 1_000
"""For one answer."""


async def of_originals(
    desk: Desk,
    caller: Caller,
    asked: Asked,
    all_of: Sequence[Condition],
    among: Sequence[Condition],
    limit: int,
    *,
    unseen: bool,
) -> Rows:
    """Raises BadQuery for what originals are not found by; and as `finding.begin`."""
    query = " and ".join(map(_said, [*all_of, *among])) or f"{STUDY} is known"
    wanted = Query(query, asked.path, IDENTIFIED, (EVERYTHING,), limit=MOST_OPENED + 1, unseen=unseen)
    matches = [one async for one in finding.find(desk, caller, wanted)]
    groups: defaultdict[tuple[str, ...], list[Match]] = defaultdict(list)
    for one in matches[:MOST_OPENED]:
        uids = tuple(str(one.values.get(name, [""])[0]) for name in (STUDY, SERIES, INSTANCE))
        if all(uids):
            groups[uids[: _DEPTHS[asked.level]]].append(one)
    rows = [_row(groups[key], asked.told) for key in sorted(groups)]
    told = rows[asked.offset : asked.offset + limit]
    return Rows(told, max(0, len(rows) - asked.offset - len(told)), len(matches) > MOST_OPENED)


_DEPTHS: Final = {Level.STUDY: 1, Level.SERIES: 2, Level.INSTANCE: 3}


def _row(found: Sequence[Match], told: Sequence[str]) -> Row:
    first = min(found, key=lambda one: one.entry)

    def each(name: str) -> set[str]:
        return {str(one.values[name][0]) for one in found if name in one.values}

    (study, *_), (series, *_), (instance, *_) = (first.values[name] for name in (STUDY, SERIES, INSTANCE))
    return Row(
        str(study),
        str(series),
        str(instance),
        first.guid,
        IDENTIFIED,
        {name: first.values[name] for name in told if name in first.values},
        len(each(SERIES)),
        len(each(INSTANCE)),
        tuple(sorted(each("Modality"))),
        tuple(sorted(each("SOPClassUID"))),
        sorted((one.entry, IDENTIFIED) for one in found),
    )


def _said(condition: Condition) -> str:
    """As a query says it."""
    match condition:
        case Compared(attribute, Operator.EQUAL, str() as value):
            return f"{attribute.name} = {_quoted(value)}"
        case Compared(attribute, Operator.EQUAL, float() as number):
            return f"{attribute.name} = {number!r}"
        case OneOf(attribute, values):
            return f"{attribute.name} in ({', '.join(_quoted(str(one)) for one in values)})"
        case Some(of):
            return f"({' or '.join(map(_said, of))})"
    raise BadQuery(
        "originals are found by equal values alone",
        remedy="leave out ranges, '*' and '?'; or ask about a de-identified view",
    )


def _quoted(value: str) -> str:
    return '"' + value.replace('"', '""') + '"'
