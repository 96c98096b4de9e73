"""Code strings: whether a value is a term known for its attribute, or made of words that name nobody.

`tables/code-string-terms.csv` has the Enumerated Values and Defined Terms of PS3.3 and terms that are common in files;
sites may extend it. SMITH JOHN is lexically a legal code string, so the VR alone tells nothing.
"""

import csv
import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from functools import cache, lru_cache
from importlib import resources
from typing import Final

from mdm_async.dicom.profiles.reviewed import first_of
from mdm_async.dicom.values.vocabulary import nameless_words

ANYWHERE: Final = "*"
"""Stands for the tag of words that any code string may be made of."""
_PARTS: Final = re.compile(r"[ _/+-]+")
_SHORT: Final = re.compile(r"[a-z]?\d{1,3}[a-z]?|[a-z]")
_LONGEST: Final = 32
_LETTERS, _DIGITS = 3, 4
"""So many different single letters, and digits that are of no term, spell nothing in all values together."""


def which_stay(
    tag: int | None, values: Sequence[bytes], beside: frozenset[bytes] = frozenset()
) -> list[bool]:
    """Of the values of one attribute, which may stay: S, M, I, T and H are each harmless, but not together.

    `beside` are terms that a site adds.
    """
    stay, spelt, digits = [], set[str](), 0
    terms = _terms_of(tag)
    for value in values:
        bare = value.strip(b"\0 ")
        stays = bare in beside
        if not stays and is_term(tag, value):
            text = bare.decode("ascii")
            spelt.update(part for part in _PARTS.split(text) if len(part) == 1 and part.isalpha())
            digits += 0 if text in terms else sum(map(str.isdigit, text))
            stays = len(spelt) <= _LETTERS and digits <= _DIGITS
        stay.append(stays)
    return stay


def is_term(tag: int | None, value: bytes) -> bool:
    """Whether every value, with backslashes between, is empty, a term of the attribute, or made of known words.

    Of a private one (None) whatever is a term of any attribute.
    """
    if not value.isascii():
        return False
    terms = _terms_of(tag)
    return all(_one(one.strip("\0 "), terms) for one in value.decode("ascii").split("\\"))


def _one(value: str, terms: frozenset[str]) -> bool:
    return not value or value in terms or (len(value) <= _LONGEST and _of_words(value.lower()))


@lru_cache(maxsize=16384)
def _of_words(value: str) -> bool:
    """Of a value that is not too long to be remembered."""
    parts = [part for part in _PARTS.split(value) if part]
    digits = sum(character.isdigit() for character in value)
    known = _words()
    return digits <= 4 and all(part in known or _SHORT.fullmatch(part) for part in parts)


@cache
def _rows() -> tuple[tuple[str, str], ...]:
    table = resources.files("mdm_async.dicom.tables") / "code-string-terms.csv"
    return tuple(
        (row["tag"], row["term"]) for row in csv.DictReader(table.read_text(encoding="ascii").splitlines())
    )


def _terms_of(tag: int | None) -> frozenset[str]:
    return _every_term() if tag is None else _terms().get(first_of(tag), frozenset())


@cache
def _every_term() -> frozenset[str]:
    return frozenset().union(*_terms().values())


@cache
def _terms() -> Mapping[int, frozenset[str]]:
    terms: dict[int, set[str]] = defaultdict(set)
    for tag, term in _rows():
        if tag != ANYWHERE:
            terms[int((tag[1:5] + tag[6:10]).replace("x", "0"), 16)].add(term)
    return {tag: frozenset(of) for tag, of in terms.items()}


@cache
def _words() -> frozenset[str]:
    return nameless_words().union(term.lower() for tag, term in _rows() if tag == ANYWHERE)
