"""Rows of the trail as they are hashed: the same bytes from the database, an answer or an exported file."""

from collections.abc import Iterable, Mapping
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import orjson

Row = dict[str, Any]
"""A row's `FIELDS`. `at`: microseconds since 1970 (UTC); `guid`: as text; `details`: a tree."""

FIELDS: Final = ("id", "at", "caller", "act", "outcome", "guid", "view", "bytes", "source", "details")

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def row_of(columns: Iterable[tuple[str, Any]]) -> Row:
    """A row from its columns and what more there may be, `details` being JSON's text."""
    fields = dict(columns)
    row = {name: fields[name] for name in FIELDS}
    # A number that JSON has and we have not stays text; no act of ours has one.
    with suppress(orjson.JSONDecodeError):
        row["details"] = orjson.loads(row["details"])
    return row


def canonical(row: Mapping[str, Any]) -> bytes:
    """The bytes that are hashed: JSON without spaces, all keys sorted, the fields and nothing else.

    Numbers are 64-bit: integers as such, others and larger ones as IEEE doubles.
    """
    return orjson.dumps({name: row[name] for name in FIELDS}, option=orjson.OPT_SORT_KEYS)


def moment(microseconds: object) -> str:
    """Microseconds since 1970 for people: 2026-01-31T12:00:00Z. As it is when that is no time that a clock shows."""
    try:
        assert isinstance(microseconds, int)
        return (_EPOCH + timedelta(microseconds=microseconds)).strftime("%Y-%m-%dT%H:%M:%SZ")
    except (AssertionError, OverflowError):
        return str(microseconds)
