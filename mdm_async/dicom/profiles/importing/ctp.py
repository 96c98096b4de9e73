"""Scripts of the RSNA's Clinical Trial Processor that say where which device burns text in (DicomPixelAnonymizer).

    { Modality.equals("US") * [0008,0070].containsIgnoreCase("ACME") }   (0,0,640,40) (600,440,40,40)

A question in braces, of `*` (and), `+` (or), `!` (not) and parentheses, then regions (x,y,width,height). All else is
comment. There the first question that is true counts, in a profile all: then their regions are blanked together.
"""

import re
from collections.abc import Iterator
from typing import Final

from mdm_async.dicom.profile import PixelRule, Profile, Region
from mdm_async.dicom.profiles.conditions import PIXEL_RULE_ATTRIBUTES
from mdm_async.dicom.profiles.importing.asks import (
    All,
    Ask,
    Untranslatable,
    both,
    containing,
    expression,
    tag_asked,
    when,
    word,
)
from mdm_async.dicom.profiles.importing.imported import Imported, Untranslated
from mdm_async.dicom.profiles.keywords import keyword_of

_QUESTION: Final = re.compile(r"\{([^}]*)\}")
_REGION: Final = re.compile(r"\(([^)]*)\)")
_TOKEN: Final = re.compile(
    r'\s*(?:(?P<ask>(?P<name>\[[^\]]*\]|\w+)\.(?P<method>\w+)\("(?P<text>[^"]*)"\))'
    r"|(?P<constant>true\.|false\.)|(?P<sign>[*+!()]))\s*"
)
_DEEPEST: Final = 50


def read_ctp(text: str, name: str) -> Imported:
    """The pixel rules of a script."""
    rules: list[PixelRule] = []
    untranslated = []
    questions = list(_QUESTION.finditer(text))
    for number, question in enumerate(questions):
        end = questions[number + 1].start() if number + 1 < len(questions) else len(text)
        behind = text[question.end() : end]
        try:
            regions = tuple(_regions(behind))
            rules += [_rule(asks, regions) for asks in _any_of(question[1])]
        except Untranslatable as why:
            line = text.count("\n", 0, question.start()) + 1
            shown = question[0] + " " + " ".join(region[0] for region in _REGION.finditer(behind))
            untranslated.append(Untranslated(line, shown, str(why)))
    return Imported(Profile(name, project=name, pixel_rules=tuple(dict.fromkeys(rules))), tuple(untranslated))


def _rule(asks: All, regions: tuple[Region, ...]) -> PixelRule:
    for ask in asks:
        if ask.tag not in PIXEL_RULE_ATTRIBUTES:
            raise Untranslatable(f"no pixel rule can ask for {keyword_of(ask.tag)}")
    asked = tuple(when(asks))
    if not asked:
        raise Untranslatable("it is true of every image")
    return PixelRule(asked, regions)


def _regions(text: str) -> Iterator[Region]:
    found = [region[1] for region in _REGION.finditer(text)]
    if not found:
        raise Untranslatable("no region follows")
    for region in found:
        numbers = [number.strip() for number in region.split(",")]
        if len(numbers) != 4 or not all(number.isascii() and number.isdecimal() for number in numbers):
            raise Untranslatable("a region is not four whole numbers")
        x, y, width, height = map(int, numbers)
        if max(x, y, width, height) > 0xFFFF or not width or not height:
            raise Untranslatable("a region lies outside of any image")
        yield Region(x, y, width, height)


def _any_of(question: str) -> list[All]:
    """The question as a list of which one has to be so, each of asks that all have to be so."""
    tokens, at = [], 0
    while at < len(question):
        token = _TOKEN.match(question, at)
        if token is None or token.end() == at:
            if question[at:].strip():
                raise Untranslatable("it is not understood")
            break
        tokens.append(token)
        at = token.end()
    reader = _Reader(tokens)
    found = reader.either(0)
    if reader.tokens:
        raise Untranslatable("it is not understood")
    return found


class _Reader:
    """Reads tokens: `*` binds more than `+`, `!` most."""

    def __init__(self, tokens: list[re.Match[str]]) -> None:
        self.tokens = tokens

    def either(self, depth: int) -> list[All]:
        found = self._each(depth)
        while self._next("+"):
            found = list(dict.fromkeys([*found, *self._each(depth)]))
        return found

    def _each(self, depth: int) -> list[All]:
        found = self._single(depth)
        while self._next("*"):
            found = both(found, self._single(depth))
        return found

    def _single(self, depth: int) -> list[All]:
        if self._next("("):
            if depth > _DEEPEST:
                raise Untranslatable("it is nested too deeply")
            found = self.either(depth + 1)
            if not self._next(")"):
                raise Untranslatable("it is not understood")
            return found
        if self._next("!"):
            raise Untranslatable("a rule cannot ask for what is not so")
        if not self.tokens or not (self.tokens[0]["ask"] or self.tokens[0]["constant"]):
            raise Untranslatable("it is not understood")
        token = self.tokens.pop(0)
        if token["constant"]:
            return [frozenset()] if token["constant"] == "true." else []
        tag = tag_asked(token["name"])
        return [frozenset({Ask(tag, pattern)}) for pattern in _patterns(token["method"], token["text"])]

    def _next(self, sign: str) -> bool:
        if self.tokens and self.tokens[0]["sign"] == sign:
            self.tokens.pop(0)
            return True
        return False


def _patterns(method: str, text: str) -> list[str]:
    ignore_case = method.endswith("IgnoreCase")
    if not text:
        raise Untranslatable("a rule cannot ask for what is empty")
    exact = word(text, ignore_case=ignore_case)
    match method.removesuffix("IgnoreCase"):
        case "equals":
            return [exact]
        case "contains":
            return [containing(exact)]
        case "startsWith":
            return [exact + "*"]
        case "endsWith":
            return ["*" + exact]
        case "matches" if not ignore_case:
            return expression(text, ignore_case=False)
    raise Untranslatable(f"a rule cannot ask by {method[:40]}")
