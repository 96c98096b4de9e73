"""Text that stays although nothing is cleaned: only what passes a pattern or a vocabulary of its own.

`tables/kept-text.csv` has, by name, patterns of whole values (`value`), and words (`words`) and patterns of words
(`token`) of which values may be made, and what this is in words (`is`); `attributes.csv` says which attribute keeps
what.
"""

import csv
import re
from collections import defaultdict
from dataclasses import dataclass, field
from functools import cache, lru_cache
from importlib import resources
from typing import Final

from pydicom._dicom_dict import DicomDictionary

from mdm_async.dicom.values.vocabulary import nameless_words

NUMBERS: Final = "numbers"
"""What opaque bytes keep that are numbers: anything but a text."""
BY_OTHER_RULES: Final = frozenset({"code", "pixels"})
"""Kept by the rules for codes and for pixels; nothing passes here."""

_LONGEST: Final = 64
_TOKENS: Final = re.compile(r"[ ,;:/()+*^_&-]+")
_NUMBER: Final = re.compile(r"\d{1,3}(\.\d{1,3})?%?")
_PRINTABLE: Final = bytes(range(0x20, 0x7F))
_LADDER: Final = 16
_KEYWORDS: Final = "@keywords"


@dataclass(slots=True)
class _Kept:
    values: list[re.Pattern[str]] = field(default_factory=list)
    tokens: list[re.Pattern[str]] = field(default_factory=list)
    words: frozenset[str] | None = None


def passes(keeps: str, value: bytes) -> bool:
    """Whether a value, all of its values with backslashes between, may stay under this name of `kept-text.csv`.

    What is empty passes; under a name that is not in the table nothing else does.
    """
    if keeps == NUMBERS:
        return not _is_text(value)
    kept = _table().get(keeps)
    if kept is None or not value.isascii():
        return not value.strip(b"\0 \\")
    values = map(str.strip, value.decode("ascii").rstrip("\0 ").split("\\"))
    # What is too long is not remembered either.
    return all(not one or (len(one) <= _LONGEST and _one(keeps, one)) for one in values)


@lru_cache(maxsize=8192)
def _one(keeps: str, value: str) -> bool:
    kept = _table()[keeps]
    if any(pattern.fullmatch(value) for pattern in kept.values):
        return True
    return kept.words is not None and _of_words(value.lower(), kept, kept.words)


def _of_words(value: str, kept: _Kept, words: frozenset[str]) -> bool:
    after_number = False
    for token in filter(None, (token.strip(".") for token in _TOKENS.split(value))):
        number = _NUMBER.fullmatch(token) is not None
        if number and after_number:  # a day or a telephone number, in pieces
            return False
        after_number = number
        if not (
            number
            or token in words
            or token in nameless_words()
            or any(pattern.fullmatch(token) for pattern in kept.tokens)
        ):
            return False
    return True


def _is_text(value: bytes) -> bool:
    """Whether bytes read as text rather than as numbers: nearly all printable, and no even rise as of a table."""
    stripped = value.strip(b"\0 ")
    if len(stripped) < 4:
        return False
    if len(stripped.translate(None, _PRINTABLE)) * 3 >= len(stripped) and not _is_utf8(stripped):
        return False
    return len(stripped) < _LADDER or bytes(sorted(stripped)) not in (stripped, stripped[::-1])


def _is_utf8(value: bytes) -> bool:
    try:
        return value.decode().isprintable()
    except UnicodeDecodeError:
        return False


@cache
def _table() -> dict[str, _Kept]:
    table: dict[str, _Kept] = defaultdict(_Kept)
    lines = (
        (resources.files("mdm_async.dicom.tables") / "kept-text.csv").read_text(encoding="ascii").splitlines()
    )
    for row in csv.DictReader(lines):
        kept, content = table[row["name"]], row["content"]
        if row["kind"] == "words":
            words = set(content.split()) - {_KEYWORDS}
            if _KEYWORDS in content:
                words |= {entry[4].lower() for entry in DicomDictionary.values()}
            kept.words = (kept.words or frozenset()) | words
        elif row["kind"] != "is":
            patterns = kept.values if row["kind"] == "value" else kept.tokens
            patterns.append(re.compile(content))
    return dict(table)


def names() -> frozenset[str]:
    """The names of patterns and vocabularies."""
    return frozenset(_table())
