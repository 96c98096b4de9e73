"""Names, kinds and values of users' own attributes: what may be said, how it is kept, how it is told. Pure."""

import math
import re
from collections.abc import Mapping, Sequence
from datetime import date
from typing import Final

from mdm_async.catalog.metadata.collections import (
    DATE,
    FLOAT,
    INT,
    KINDS,
    NUMBERS,
    TEXT,
    Attribute,
    NewAttribute,
)
from mdm_async.catalog.metadata.own_values import Stored
from mdm_async.errors import BadRequest, TooLarge

MOST_TEXT: Final = 1024
"""Bytes of a text, so that it fits into an index."""
MOST_CHOICES: Final = 100
MOST_SET: Final = 50_000
"""Values that one request sets, of all entries together."""
_MOST_SET_BYTES: Final = 16 << 20
_NAME: Final = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,62}", re.ASCII)
_MOST_INT: Final = 2**53
"""As far as a double counts one by one."""
_INT: Final = re.compile(r"[+-]?[0-9]{1,16}", re.ASCII)
_DATE: Final = re.compile(r"([0-9]{4})(-?)([0-9]{2})\2([0-9]{2})", re.ASCII)
Given = str | int | float | None
"""A value as users say it; None: none."""
Told = str | int | float


def parse_name(text: str) -> str:
    """The name of a collection, an attribute, a sequence or a saved query. Raises BadRequest."""
    if not _NAME.fullmatch(text):
        raise BadRequest(
            "a name in metadata is malformed",
            remedy="begin with a letter; letters, digits and '_' follow, 63 characters in all",
        )
    return text


def new_attribute(name: str, kind: str, choices: Sequence[str] | None) -> NewAttribute:
    """What a schema is to have. Raises BadRequest."""
    if kind not in KINDS:
        raise BadRequest("there is no such kind of attribute", remedy=f"the kinds are {', '.join(KINDS)}")
    if choices is not None:
        if kind != TEXT or not choices:
            raise BadRequest("choices are those of a text", remedy="write NAME=ONE,ANOTHER")
        if len(choices) > MOST_CHOICES:
            raise BadRequest(f"an attribute has at most {MOST_CHOICES} choices", remedy="use the kind text")
        choices = [_text(one) for one in dict.fromkeys(choices)]
    return parse_name(name), kind, choices


def parse_attribute(text: str) -> tuple[str, str]:
    """`mine.quality` → collection and attribute. Raises BadRequest."""
    collection, dot, name = text.partition(".")
    if not dot:
        raise BadRequest(
            "an attribute of one's own is named with its collection", remedy="write COLLECTION.ATTRIBUTE"
        )
    return parse_name(collection), parse_name(name)


def demand_few(entries: int, given: Mapping[str, Given]) -> None:
    """Return when one request may give so many entries these values. Raises TooLarge."""
    texts = sum(len(value) for value in given.values() if isinstance(value, str))
    if entries * len(given) > MOST_SET or entries * texts > _MOST_SET_BYTES:
        raise TooLarge(
            f"a request sets {MOST_SET} values at the most, of all entries together, and 16 MiB of them",
            remedy="name fewer entries, or set fewer values, in several requests",
        )


def stored(attribute: Attribute, given: Given) -> Stored:
    """Raises BadRequest when it is no value of the attribute's kind."""
    if given is None:
        return None, None
    if isinstance(given, bool):
        raise _no_value(attribute)
    if attribute.kind in NUMBERS:
        return None, _number(attribute, given)
    text = str(given)
    if attribute.kind == DATE:
        return _date(attribute, text), None
    if attribute.choices is not None and text not in attribute.choices:
        raise BadRequest(
            f"that is none of the choices of {attribute.name}",
            remedy="mdm meta schema show lists them",
        )
    return _text(text), None


def told(attribute: Attribute, kept: Stored) -> Told | None:
    """A value as it is shown."""
    text, number = kept
    if number is not None:
        return int(number) if attribute.kind == INT else number
    if text is not None and attribute.kind == DATE:
        return f"{text[:4]}-{text[4:6]}-{text[6:]}"
    return text


def may_reveal(attribute: Attribute, kept: Stored) -> str | None:
    """The text of a value that could tell who a patient is; None: it cannot. Choices are the schema's, of nobody."""
    if attribute.choices is not None or kept == (None, None):
        return None
    text, number = kept
    if number is not None:
        return str(int(number)) if number.is_integer() else str(number)
    return text


def _number(attribute: Attribute, given: str | int | float) -> float:
    if attribute.kind == INT:
        if isinstance(given, float) and given.is_integer():
            given = int(given) if abs(given) <= _MOST_INT else str(given)
        if not _INT.fullmatch(str(given)) or abs(int(given)) > _MOST_INT:
            raise _no_value(attribute)
        return float(int(given))
    try:
        number = float(given)
    except (ValueError, OverflowError):
        raise _no_value(attribute) from None
    if not math.isfinite(number):
        raise _no_value(attribute)
    return number


def _date(attribute: Attribute, text: str) -> str:
    found = _DATE.fullmatch(text)
    try:
        if found is None:
            raise ValueError
        return date(int(found[1]), int(found[3]), int(found[4])).strftime("%Y%m%d").zfill(8)
    except ValueError:
        raise _no_value(attribute) from None


def _text(text: str) -> str:
    if not text:
        raise BadRequest("a text is not empty", remedy="take the value away: --unset, or None in Python")
    if len(text.encode()) > MOST_TEXT or "\0" in text:
        raise BadRequest(f"a text has 1 to {MOST_TEXT} bytes, without NUL", remedy="shorten it")
    return text


def _no_value(attribute: Attribute) -> BadRequest:
    """Without the value: it may be what it must not."""
    return BadRequest(
        f"that is no {attribute.kind} for {attribute.name}",
        remedy={
            INT: f"give a whole number between -{_MOST_INT} and {_MOST_INT}",
            FLOAT: "give a finite number, such as 0.5",
            DATE: "give a date, such as 2024-02-29",
        }.get(attribute.kind, "give a text"),
    )
