"""Questions about an image's attributes, as other programs write them, as patterns of pixel rules and conditions.

A rule lets a picture through once its regions are blanked. So a question is translated exactly, or not at all.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import product
from typing import Final

from mdm_async.dicom.profiles.conditions import CONDITION_ATTRIBUTES
from mdm_async.dicom.profiles.keywords import keyword_of, tag_of

MOST: Final = 64
"""Rules that one question may become."""
_ANY, _ONE = "*", "?"
_SPECIAL: Final = "*?["


class Untranslatable(Exception):
    """str(self) says why."""


@dataclass(frozen=True, slots=True)
class Ask:
    """One attribute has to match a pattern as of fnmatch."""

    tag: int
    pattern: str


All = frozenset[Ask]
"""All of these have to be so."""


def tag_asked(name: str) -> int:
    """The attribute by its keyword, or by "gggg,eeee" in brackets or not. Raises Untranslatable."""
    digits = name.strip("[]()").replace(",", "").strip()
    tag = tag_of(name)
    if tag is None and len(digits) == 8:
        try:
            tag = int(digits, 16)
        except ValueError:
            tag = None
    if tag is None:
        raise Untranslatable("it names no attribute of the public dictionary")
    if tag not in CONDITION_ATTRIBUTES:
        raise Untranslatable(f"no rule can ask for {keyword_of(tag) or 'this attribute'}")
    return tag


def word(text: str, *, ignore_case: bool) -> str:
    """The pattern that this text alone matches."""
    return "".join(_letter(letter, ignore_case=ignore_case) for letter in text)


def containing(pattern: str) -> str:
    return _ANY + pattern + _ANY


def expression(text: str, *, ignore_case: bool) -> list[str]:
    """The patterns of which one matches wherever a simple regular expression does, from begin to end.

    Raises Untranslatable for what is more than letters, ".", ".*" and "|".
    """
    found = []
    for alternative in text.split("|"):
        pattern, rest = "", alternative
        while rest:
            if rest.startswith(".*"):
                pattern, rest = pattern + _ANY, rest[2:]
            elif rest[0] == ".":
                pattern, rest = pattern + _ONE, rest[1:]
            elif rest[0] in "\\^$*+?{}[]()":
                raise Untranslatable("a regular expression of more than letters, ., .* and |")
            else:
                pattern, rest = pattern + _letter(rest[0], ignore_case=ignore_case), rest[1:]
        if not pattern.strip():
            raise Untranslatable("it asks for no text")
        found.append(pattern)
    return found


def both(one: Iterable[All], other: Iterable[All]) -> list[All]:
    """Each of the one with each of the other. Raises Untranslatable when they are too many."""
    found = list(dict.fromkeys(a | b for a, b in product(one, other)))
    if len(found) > MOST:
        raise Untranslatable(f"it would become more than {MOST} rules")
    return found


def when(asks: All) -> Iterator[tuple[int, str]]:
    """One pattern for each attribute, ascending. Raises Untranslatable where an attribute has to match two."""
    by_tag: dict[int, str] = {}
    for ask in asks:
        if by_tag.setdefault(ask.tag, ask.pattern) != ask.pattern:
            raise Untranslatable(f"a rule asks for {keyword_of(ask.tag)} once")
    yield from sorted(by_tag.items())


def _letter(letter: str, *, ignore_case: bool) -> str:
    if letter in _SPECIAL:
        return f"[{letter}]"
    if not letter.isprintable():
        raise Untranslatable("a text that cannot be printed")
    if ignore_case and letter.upper() != letter.lower() and letter.isascii():
        return f"[{letter.upper()}{letter.lower()}]"
    return letter
