"""What a query asks of an entry, as a tree.

An attribute has any number of values there, none too. A condition on it holds when it holds of one of them; `!=` holds
when there are values, and none of them equals.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

from mdm_async.querying.attributes import Attribute

Value = str | float


class Operator(StrEnum):
    EQUAL = "="
    UNEQUAL = "!="
    LESS = "<"
    LESS_OR_EQUAL = "<="
    MORE = ">"
    MORE_OR_EQUAL = ">="


@dataclass(frozen=True, slots=True)
class Compared:
    """`Rows >= 512`, `Modality = "CT"`; `c.clin.patient = PatientID`."""

    attribute: Attribute
    operator: Operator
    to: Value | Attribute


@dataclass(frozen=True, slots=True)
class OneOf:
    """`Modality in ("CT", "MR")`."""

    attribute: Attribute
    values: tuple[Value, ...]


@dataclass(frozen=True, slots=True)
class Like:
    """`StudyDescription like "*chest*"`: `*` is any text, `?` any one character."""

    attribute: Attribute
    pattern: str


@dataclass(frozen=True, slots=True)
class Known:
    """`EchoTime is known`: there is a value."""

    attribute: Attribute


@dataclass(frozen=True, slots=True)
class Not:
    of: "Condition"


@dataclass(frozen=True, slots=True)
class Every:
    """All of them hold: `and`."""

    of: tuple["Condition", ...]


@dataclass(frozen=True, slots=True)
class Some:
    """One of them holds: `or`."""

    of: tuple["Condition", ...]


Simple = Compared | OneOf | Like | Known
Condition = Simple | Not | Every | Some


def conjuncts(condition: Condition) -> tuple[Condition, ...]:
    """Conditions that must all hold where this one does, and which together say the same."""
    return condition.of if isinstance(condition, Every) else (condition,)


def every(conditions: Sequence[Condition]) -> Condition:
    """All of them, which are one at the least."""
    return conditions[0] if len(conditions) == 1 else Every(tuple(conditions))


def attributes(condition: Condition) -> Iterator[Attribute]:
    """All that it names, as often as it does."""
    match condition:
        case Not(of):
            yield from attributes(of)
        case Every(of) | Some(of):
            for each in of:
                yield from attributes(each)
        case Compared(attribute, _, Attribute() as to):
            yield attribute
            yield to
        case _:
            yield condition.attribute


def renamed(condition: Condition, new: Callable[[Attribute], Attribute]) -> Condition:
    """The same about other attributes."""
    match condition:
        case Not(of):
            return Not(renamed(of, new))
        case Every(of):
            return Every(tuple(renamed(each, new) for each in of))
        case Some(of):
            return Some(tuple(renamed(each, new) for each in of))
        case Compared(attribute, _, to):
            return replace(
                condition, attribute=new(attribute), to=new(to) if isinstance(to, Attribute) else to
            )
        case _:
            return replace(condition, attribute=new(condition.attribute))
