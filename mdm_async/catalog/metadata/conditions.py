"""Conditions as SQL over the rows of `columns`. Nothing in it can raise an error, whatever the values are.

jsonb's own path language compares the values: it takes what it compares with as a parameter, and what cannot be
compared is not equal, less or more.
"""

import re
from collections.abc import Mapping
from typing import Final

from mdm_async.catalog.metadata.columns import Arguments, values
from mdm_async.querying.attributes import Attribute
from mdm_async.querying.conditions import (
    Compared,
    Condition,
    Every,
    Known,
    Like,
    Not,
    OneOf,
    Operator,
    Some,
    Value,
)

_PATHS: Final[Mapping[Operator, str]] = {
    Operator.EQUAL: "$[*] ? (@ == $v[*])",
    Operator.LESS: "$[*] ? (@ < $v[*])",
    Operator.LESS_OR_EQUAL: "$[*] ? (@ <= $v[*])",
    Operator.MORE: "$[*] ? (@ > $v[*])",
    Operator.MORE_OR_EQUAL: "$[*] ? (@ >= $v[*])",
}


def holds(condition: Condition, arguments: Arguments) -> str:
    """Whether a condition holds in a row: true or false, never null."""
    match condition:
        case Every(of):
            return "(" + " and ".join(holds(each, arguments) for each in of) + ")"
        case Some(of):
            return "(" + " or ".join(holds(each, arguments) for each in of) + ")"
        case Not(inner):
            return f"(not {holds(inner, arguments)})"
        case Known(attribute):
            return _known(attribute, arguments)
        case Compared(attribute, operator, to):
            return _compared(attribute, operator, to, arguments)
        case OneOf(attribute, of_values):
            return _path(attribute, Operator.EQUAL, arguments.add({"v": list(of_values)}, "jsonb"), arguments)
        case Like(attribute, pattern):
            found = values(attribute, arguments)
            return (
                "exists (select from jsonb_array_elements_text("
                f"case jsonb_typeof({found}) when 'array' then {found} end) as one (said)"
                f' where said collate "C" like {arguments.add(as_like(pattern), "text")})'
            )


def _compared(attribute: Attribute, operator: Operator, to: Value | Attribute, arguments: Arguments) -> str:
    def with_() -> str:
        if isinstance(to, Attribute):
            return f"jsonb_build_object('v', {values(to, arguments)})"
        return arguments.add({"v": to}, "jsonb")

    if operator is not Operator.UNEQUAL:
        return _path(attribute, operator, with_(), arguments)
    there = _known(attribute, arguments)
    if isinstance(to, Attribute):
        there += f" and {_known(to, arguments)}"
    return f"({there} and not {_path(attribute, Operator.EQUAL, with_(), arguments)})"


def _path(attribute: Attribute, operator: Operator, with_: str, arguments: Arguments) -> str:
    found = values(attribute, arguments)
    return f"coalesce(jsonb_path_exists({found}, '{_PATHS[operator]}', {with_}, true), false)"


def _known(attribute: Attribute, arguments: Arguments) -> str:
    return f"coalesce(jsonb_path_exists({values(attribute, arguments)}, '$[*]', '{{}}', true), false)"


_ESCAPED: Final = re.compile(r"[\\%_]")


def as_like(pattern: str) -> str:
    """A pattern with '*' and '?' as one of LIKE."""
    escaped = _ESCAPED.sub(lambda found: "\\" + found.group(), pattern)
    return escaped.replace("*", "%").replace("?", "_")
