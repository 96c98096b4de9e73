"""Entries that may match, found through the indexes of values: when a condition that must hold gives few.

Whether these match, and may be known of, is asked of each of them afterwards.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from mdm_async.catalog.metadata.columns import Arguments, BlindAttribute, DicomAttribute, OwnAttribute
from mdm_async.catalog.namespace import places
from mdm_async.catalog.namespace.places import Place
from mdm_async.dicom.indexed import Level
from mdm_async.postgres.database import Connection
from mdm_async.querying.attributes import Kind
from mdm_async.querying.conditions import Compared, Condition, OneOf, Operator, Value, conjuncts

_UID: Final = "SOPInstanceUID"
_OPERATORS: Final = {
    Operator.EQUAL: "=",
    Operator.LESS: "<",
    Operator.LESS_OR_EQUAL: "<=",
    Operator.MORE: ">",
    Operator.MORE_OR_EQUAL: ">=",
}


Probed = DicomAttribute | OwnAttribute | BlindAttribute


@dataclass(frozen=True, slots=True)
class Probe:
    """A look into an index. Of several, the one with the lowest `rank` gives the fewest, as a rule."""

    rank: int
    attribute: Probed
    operator: str
    values: tuple[Value, ...]


def probes(condition: Condition) -> list[Probe]:
    """Those that give everything that may match."""
    some = [probe for each in conjuncts(condition) if (probe := _probe(each)) is not None]
    return sorted(some, key=lambda probe: probe.rank)


def _probe(condition: Condition) -> Probe | None:
    match condition:
        case Compared(
            (DicomAttribute() | OwnAttribute() | BlindAttribute()) as attribute,
            operator,
            str() | float() as value,
        ):
            if operator in _OPERATORS and _is_indexed(attribute, operator):
                return Probe(_rank(attribute, operator), attribute, _OPERATORS[operator], (value,))
        case OneOf((DicomAttribute() | OwnAttribute() | BlindAttribute()) as attribute, values):
            if _is_indexed(attribute, Operator.EQUAL):
                return Probe(_rank(attribute, Operator.EQUAL) + 1, attribute, "=", values)
    return None


def _is_indexed(attribute: Probed, operator: Operator) -> bool:
    if not isinstance(attribute, DicomAttribute) or attribute.row.level is not Level.INSTANCE:
        return True
    return attribute.row.keyword == _UID and operator is Operator.EQUAL


def _rank(attribute: Probed, operator: Operator) -> int:
    if operator is not Operator.EQUAL:
        return 8
    if attribute.kind is Kind.UID:
        return 0
    return 2 if not isinstance(attribute, DicomAttribute) or attribute.row.level is not Level.SERIES else 4


async def candidates(
    db: Connection, probe: Probe, versions: Sequence[str], most: int
) -> dict[int, Place] | None:
    """The places of entries that may match, by their ids; None when there are more than `most`, or more is to be
    looked at for them. One statement, whether or not there are any: its time is to tell little of what is hidden."""
    arguments = Arguments()
    limit = arguments.add(most + 1, "bigint")
    steps = _steps(probe, versions, limit, arguments)
    looked_at = ", ".join(f"(select count(*) from {name})" for name, _ in steps)
    few = f"case when (select looked_at from seen) < {limit} then array(select distinct id from found) end"
    rows = await db.fetch(
        f"with recursive {_relations(steps, limit)},"
        f" seen as materialized (select greatest({looked_at}) as looked_at), {places.above(f'id = any({few})')}"
        f" select * from seen left join ({places.LED}) e on true",
        *arguments.values,
    )
    if rows[0]["looked_at"] > most:
        return None
    return places.of_rows([row for row in rows if row["id"] is not None])


def found(probe: Probe, versions: Sequence[str], arguments: Arguments) -> str:
    """Relations of a statement, the last of which is `found` (id): all entries that may match, however many."""
    every = arguments.add(None, "bigint")
    return _relations(_steps(probe, versions, every, arguments), every)


def _relations(steps: Sequence[tuple[str, str]], limit: str) -> str:
    return ", ".join(f"{name} as materialized ({step} limit {limit})" for name, step in steps)


def _steps(probe: Probe, versions: Sequence[str], limit: str, arguments: Arguments) -> list[tuple[str, str]]:
    """One after the other, each a look into an index for each row of the one before."""
    attribute = probe.attribute
    entry = "id from entries where image = above.id"
    entries = ("found", _each("(select distinct id from images) above", entry, limit))
    if isinstance(attribute, BlindAttribute):
        digests = arguments.add([bytes.fromhex(str(one)) for one in probe.values], "bytea[]")
        blind = f"tag = {arguments.add(attribute.tag, 'int')} and blind = said"
        of_values = f"image as id from blind_values where {blind}"
        return [("images", _each(f"unnest({digests}) as one (said)", of_values, limit)), entries]
    is_number = attribute.kind is Kind.NUMBER
    said = f"unnest({arguments.add(list(probe.values), 'float8[]' if is_number else 'text[]')}) as one (said)"
    compared = f"{'number' if is_number else 'text'} {probe.operator} said"
    if isinstance(attribute, OwnAttribute):
        own = f"attribute = {arguments.add(attribute.id, 'bigint')} and {compared}"
        return [("found", _each(said, f"entry as id from own_values where {own}", limit))]
    if attribute.row.keyword == _UID:
        steps = [("images", _each(said, "image as id from view_attributes where sop_uid = said", limit))]
    else:
        where = f"tag = {arguments.add(attribute.row.tag, 'int')} and {compared}"
        steps = [("sets_0", _each(said, f"set as id from meta_values where {where}", limit))]
        for level in range(_BELOW[attribute.row.level]):
            below = _each(f"sets_{level} above", "id from meta_sets where parent = above.id", limit)
            steps.append((f"sets_{level + 1}", below))
        version = f"version = any({arguments.add(list(versions), 'text[]')})"
        of_set = f"image as id from view_attributes where series = above.id and {version}"
        steps.append(("images", _each(f"sets_{len(steps) - 1} above", of_set, limit)))
    return [*steps, entries]


_BELOW: Final = {Level.PATIENT: 2, Level.STUDY: 1, Level.SERIES: 0}
"""Levels of sets below one."""


def _each(above: str, found: str, limit: str) -> str:
    return f"select f.id from {above} cross join lateral (select {found} limit {limit}) f"
