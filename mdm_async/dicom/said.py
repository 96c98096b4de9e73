"""What a name or text says: as it is compared with a patient's identifiers, and how much of it may be guesses at them.

One text may hold a hundred guesses at a birth date or a name. So what is said is told in pieces, each with what comes
before it, so that whatever was compared before is the same piece again, and whatever is put together anew is another.
"""

import re
import unicodedata
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from itertools import chain
from typing import Final, Self

SEPARATORS: Final = re.compile(r"[\W_]+")
_BORDERS: Final = re.compile(r"(?<=\d)(?=[^\W\d_])|(?<=[^\W\d_])(?=\d)")
_LIKE_A_DATE: Final = re.compile(r"(?=((?:19|20)\d\d[01]\d[0-3]\d|[0-3]\d[0-3]\d(?:19|20)\d\d))", re.ASCII)

_ADJACENT: Final = 5
"""Words that are read as one."""
_BEFORE: Final = 12
"""Characters before a word that belong to its piece: no identifier so short is found but in a piece that is new."""
_WITHOUT_CAPITALS: Final = 3
"""What a letter of a script without capitals weighs: two of them may be a name."""
_FIRST_YEAR: Final = 1900
_KATAKANA: Final = {code: code - 0x60 for code in range(0x30A1, 0x30F7)}
"""To hiragana: a name is read alike in both."""


@dataclass(frozen=True, slots=True, eq=False)
class Said:
    """A name or text. Pieces are hashes that no other process can tell, with what each weighs: `characters` of all
    words, `letters` of words of letters, `dates` one each."""

    joined: str
    """All of it, without separators."""
    runs: frozenset[str]
    """Of 4 or 5 characters: adjacent words of one segment."""
    threes: frozenset[str]
    characters: Mapping[int, int]
    letters: Mapping[int, int]
    dates: frozenset[int]
    before: Self | None = None
    """The directory, if this is its path with one name more."""

    @classmethod
    def of(cls, text: str, before: Self | None = None) -> Self:
        """Some microseconds for each word."""
        segments = [
            [(word, _BORDERS.split(word)) for word in SEPARATORS.split(segment) if word]
            for segment in fold(text).split("/")
        ]
        words = list(chain(*segments))
        start = before.joined if before is not None else ""
        characters, letters, dates = _pieces(start, words)
        return cls(
            start + "".join(word for word, _ in words),
            frozenset(run for segment in segments for run in _runs(segment)),
            frozenset(word for word, _ in words if len(word) == 3),
            characters,
            letters,
            dates,
            before,
        )

    def reveals(self, identifiers: Collection[str]) -> bool:
        """Whether it holds one of `identifying_values`.

        They are compared as `fold` gives them and without separators, so that `Mueller_Hans` and `mueller/hans` are
        found. The shorter an identifier, the more it must stand alone, lest `CT1` be found everywhere:
        - 6 characters or more, 2 in scripts without capitals: anywhere in the name;
        - 4 or 5: as one word or several adjacent ones of a path segment, words ending at separators and between
          letters and digits ("meier" in `Meier2019.dcm`, "1ct1" in `1-CT-1`, not "1234" in `img12345`);
        - 3: as a whole word between separators, and only if all letters ("kim" in `kim/scan.dcm`).
        """
        return any(self._holds(one) for one in identifiers)

    def _holds(self, one: str) -> bool:
        if len(one) >= 6 or without_capitals(one):
            return one in self.joined
        found = one in self.runs or (one in self.threes and one.isalpha())
        return found or (self.before is not None and self.before._holds(one))


def fold(text: str) -> str:
    """As texts are compared: casefolded, compatible forms alike (NFKC: full and half width), digits in ASCII, kana
    as hiragana."""
    folded = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", text).casefold())
    if folded.isascii():
        return folded
    digits = {ord(one): str(unicodedata.decimal(one)) for one in set(folded) if one.isdecimal()}
    return folded.translate(_KATAKANA).translate(digits)


def without_capitals(one: str) -> bool:
    return one.isalpha() and one.upper() == one


_Word = tuple[str, list[str]]
"""As separators end it, and its parts of letters and of digits."""


def _runs(segment: Sequence[_Word]) -> Iterator[str]:
    parts = [part for _, some in segment for part in some]
    for start, run in enumerate(parts):
        for part in ("", *parts[start + 1 : start + _ADJACENT]):
            run += part
            if len(run) >= 4:
                if len(run) <= 5:
                    yield run
                else:
                    break


def _pieces(start: str, words: Sequence[_Word]) -> tuple[dict[int, int], dict[int, int], frozenset[int]]:
    """Of words that follow on `start`: what each weighs by its piece, first in characters, then in letters; dates."""
    characters: dict[int, int] = {}
    letters: dict[int, int] = {}
    dates: set[int] = set()
    before = start[-_BEFORE:]
    letters_before, digits = _letters_at_end(before), _digits_at_end(before)
    for word, parts in words:
        for piece in _cut(word):
            characters[hash((before, piece))] = len(piece)
            before = (before + piece)[-_BEFORE:]
        for part in parts:
            if part.isdecimal():
                digits += part
                if len(digits) >= 8:
                    dates.update(hash(("date", one)) for one in _dates(digits))
                digits, letters_before = digits[-7:], ""
            else:
                digits, weight = "", _WITHOUT_CAPITALS if without_capitals(part) else 1
                for piece in _cut(part):
                    letters[hash(("letters", letters_before, piece))] = weight * len(piece)
                    letters_before = (letters_before + piece)[-_BEFORE:]
    return characters, letters, frozenset(dates)


def _cut(word: str) -> Iterator[str]:
    """A long word is several pieces, of which those that follow another beginning are what they were."""
    return (word[at : at + _BEFORE] for at in range(0, len(word), _BEFORE))


def _letters_at_end(text: str) -> str:
    return "" if _digits_at_end(text) else _BORDERS.split(text)[-1]


def _digits_at_end(text: str) -> str:
    return text[len(text.rstrip("0123456789")) :][-7:]


def _dates(digits: str) -> Iterator[str]:
    """Whatever could be a birth date, in any order that one is compared in."""
    this_year = date.today().year
    for found in _LIKE_A_DATE.finditer(digits):
        text = found[1]
        orders = (
            (text[:4], text[4:6], text[6:]),
            (text[4:], text[2:4], text[:2]),
            (text[4:], text[:2], text[2:4]),
        )
        if any(
            _FIRST_YEAR <= int(year) <= this_year and _is_date(year, month, day)
            for year, month, day in orders
        ):
            yield text


def _is_date(year: str, month: str, day: str) -> bool:
    try:
        date(int(year), int(month), int(day))
    except ValueError:
        return False
    return True
