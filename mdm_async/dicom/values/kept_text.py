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

_LONGEST: Final = 64
_TOKENS: Final = re.compile(r"[ ,;:/()+*^_&-]+")
_ALL_TOKENS: Final = re.compile(r"[ ,;:/()+*^_&\\.-]+")
_LETTERS, _DIGITS = 3, 6
"""So many different single letters, and digits of bare numbers, spell nothing."""
_NUMBER: Final = re.compile(r"\d{1,3}(\.\d{1,3})?%?")
_PRINTABLE: Final = bytes(range(0x20, 0x7F))
_SHORTEST: Final = 4
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
    text = value.decode("ascii").rstrip("\0 ")
    values = map(str.strip, text.split("\\"))
    # What is too long is not remembered either.
    return all(not one or (len(one) <= _LONGEST and _one(keeps, one)) for one in values) and not _spells(
        text, kept
    )


def _spells(text: str, kept: _Kept) -> bool:
    """Whether the shortest pieces of all values together could be a name or a number: J O H N, 555 and 123 and 4567."""
    tokens = _ALL_TOKENS.split(text)
    short = {token for token in tokens if token.isalpha() and len(token) <= 2}
    if sum(len(token) == 1 for token in short) > _LETTERS or len("".join(short)) > 2 * _LETTERS:
        return True
    numbers = "".join(token for token in tokens if _NUMBER.fullmatch(token))
    return kept.words is not None and not kept.tokens and sum(map(str.isdigit, numbers)) > _DIGITS


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
    """Whether bytes read as text rather than as numbers: nearly all printable, and no even rise as of a table.

    Of text in UTF-16 every other byte is zero.
    """
    half = next((value[1 - at :: 2] for at in (0, 1) if len(value) > 1 and not any(value[at::2])), value)
    stripped = half.strip(b"\0 ")
    if len(stripped) < _SHORTEST:
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
