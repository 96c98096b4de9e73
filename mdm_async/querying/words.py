"""A query's words, and where they stand. Bounded before they are looked at one by one."""

import re
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from mdm_async.errors import BadQuery
from mdm_async.querying.attributes import NAME

MOST_CHARACTERS: Final = 65_536
MOST_WORDS: Final = 8_000
LONGEST_TEXT: Final = 1_024
"""Characters of a value."""
LONGEST_NAME: Final = 256
RESERVED: Final = frozenset({"and", "or", "not", "in", "like", "is", "known", "unknown"})
"""In any case of letters; no attribute is called so."""


class Kind(StrEnum):
    NAME = "name"
    RESERVED = "reserved"
    TEXT = "text"
    NUMBER = "number"
    SIGN = "sign"
    END = "end"


@dataclass(frozen=True, slots=True)
class Word:
    kind: Kind
    said: str
    """A text's content; a reserved word in small letters."""
    at: int
    """Its first character's place in the query, counted from 1."""


_WORD: Final = re.compile(
    rf"""(?P<name>{NAME.pattern}(?:\.{NAME.pattern})*)
    |(?P<number>[+-]?[0-9]+(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?)
    |(?P<double>"(?:[^"]|"")*+")
    |(?P<single>'(?:[^']|'')*+')
    |(?P<sign><=|>=|!=|<>|[=<>(),])""",
    re.VERBOSE,
)
_BLANK: Final = re.compile(r"\s*+")


def wrong(at: int, why: str, remedy: str = "") -> BadQuery:
    """What is wrong with a query at a place. It repeats nothing of the query: a value may tell who a patient is."""
    return BadQuery(f"character {at} of the query: {why}", remedy=remedy)


def words(query: str) -> list[Word]:
    """The last is its end. Raises BadQuery."""
    if len(query) > MOST_CHARACTERS:
        raise BadQuery(f"a query has {MOST_CHARACTERS} characters at the most", remedy="ask in several")
    if "\0" in query:
        raise wrong(query.index("\0") + 1, "NUL stands in no query")
    found: list[Word] = []
    at = _past_blanks(query, 0)
    while at < len(query):
        word = _WORD.match(query, at)
        if word is None:
            raise _unreadable(query, at)
        if len(found) == MOST_WORDS:
            raise BadQuery(f"a query has {MOST_WORDS} words at the most", remedy="ask in several")
        found.append(_word(word))
        at = _past_blanks(query, word.end())
        if at == word.end() and at < len(query) and _runs_on(query, word):
            raise wrong(at + 1, "a blank is missing between two words")
    return [*found, Word(Kind.END, "", len(query) + 1)]


def names(query: str) -> set[str]:
    """All attributes that a query names, in its own spelling. Raises BadQuery."""
    return {word.said for word in words(query) if word.kind is Kind.NAME}


def _past_blanks(query: str, at: int) -> int:
    blank = _BLANK.match(query, at)
    assert blank is not None
    return blank.end()


def _word(found: re.Match[str]) -> Word:
    said, at = found.group(), found.start() + 1
    match found.lastgroup:
        case "name":
            if said.lower() in RESERVED:
                return Word(Kind.RESERVED, said.lower(), at)
            if len(said) > LONGEST_NAME:
                raise wrong(at, f"a name has {LONGEST_NAME} characters at the most")
            return Word(Kind.NAME, said, at)
        case "number":
            return Word(Kind.NUMBER, said, at)
        case "sign":
            return Word(Kind.SIGN, "!=" if said == "<>" else said, at)
    quote = said[0]
    text = said[1:-1].replace(quote * 2, quote)
    if len(text) > LONGEST_TEXT:
        raise wrong(at, f"a value has {LONGEST_TEXT} characters at the most")
    return Word(Kind.TEXT, text, at)


def _runs_on(query: str, word: re.Match[str]) -> bool:
    """Whether a name or a number is followed by more of its like: `2mm`, `a.`."""
    return word.lastgroup in ("name", "number") and (query[word.end()].isalnum() or query[word.end()] in "._")


def _unreadable(query: str, at: int) -> BadQuery:
    if query[at] in "\"'":
        return wrong(at + 1, "this quotation mark has no end", "write a quotation mark in a text twice")
    return wrong(at + 1, "this is no word of a query", 'write as: Modality = "CT" and SliceThickness < 2')
