"""Values in queries, in the form in which those of files are kept."""

import math
import re
from typing import Final

from mdm_async.querying.attributes import Attribute, Kind
from mdm_async.querying.words import Kind as Of
from mdm_async.querying.words import Word, wrong

MOST_WILDCARDS: Final = 16
_DATE: Final = re.compile(r"([0-9]{4})(?:(-?)([0-9]{2})(?:\2([0-9]{2}))?)?")
_TIME: Final = re.compile(r"([0-9]{2})(?:(:?)([0-9]{2})(?:\2([0-9]{2}(?:\.[0-9]{1,6})?))?)?")


def of(attribute: Attribute, word: Word) -> str | float:
    """Raises BadQuery for a value of another kind than the attribute's."""
    if attribute.kind is Kind.NUMBER:
        if word.kind is not Of.NUMBER:
            raise wrong(word.at, "this attribute is a number", "write its value without quotation marks")
        return _number(word)
    if attribute.kind in (Kind.DATE, Kind.TIME):
        return _moment(attribute.kind, word)
    if word.kind is not Of.TEXT:
        raise wrong(word.at, "this attribute is text", "write its value in quotation marks")
    return word.said


def pattern(word: Word) -> str:
    """Raises BadQuery."""
    if sum(map(word.said.count, "*?")) > MOST_WILDCARDS:
        raise wrong(word.at, f"a pattern has {MOST_WILDCARDS} of '*' and '?' at the most")
    return word.said


def _number(word: Word) -> float:
    number = float(word.said)
    if not math.isfinite(number):
        raise wrong(word.at, "this number is too large")
    return number


def _moment(kind: Kind, word: Word) -> str:
    """Without what separates its parts, as DICOM writes it (PS3.5 §6.2). A date's beginning is a text before all dates
    that begin so: `StudyDate >= "2026"`."""
    form = _DATE if kind is Kind.DATE else _TIME
    found = form.fullmatch(word.said)
    if found is None:
        as_ = '"2026-01-31" or 20260131' if kind is Kind.DATE else '"14:30:00" or "143000"'
        raise wrong(word.at, f"this attribute is a {kind}", f"write its value as {as_}")
    first, _, *others = found.groups()
    return first + "".join(each for each in others if each is not None)
