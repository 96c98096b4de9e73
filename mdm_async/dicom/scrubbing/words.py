"""Free text of which only known words stay (PS3.15 §E.3.4): what no vocabulary knows could name somebody.

Names, places, numbers of people and days are not told from other words; they are simply not among those that stay. And
of those that stay none is the file's own: a patient called Hand loses the hand.
"""

import re
from enum import Enum, auto
from typing import Final, Self

from mdm_async.dicom.identifiers import identifying_values
from mdm_async.dicom.scrubbing.step_book import StepTable
from mdm_async.dicom.values.protocol_words import CONNECTING, UNITS
from mdm_async.dicom.values.vocabulary import vocabulary

_LAST_WITH_NAMES: Final = 0x0072FFFF

_WORD: Final = rb"[A-Za-z0-9\x80-\xff]"
_CHUNKS: Final = re.compile(rb"[Ww]/[Oo](?!%(word)s)|[0-9]+\.[0-9]+%(word)s*|%(word)s+" % {b"word": _WORD})
_NUMBER: Final = re.compile(r"([0-9]{1,3}(?:\.[0-9]{1,3})?)([a-z]*)")
_SEPARATORS: Final = re.compile(rb"[^A-Za-z0-9]")
_LETTERS: Final = re.compile(r"[a-z0-9]+")
_DIGIT: Final = re.compile(rb"[0-9]")
_ESCAPES: Final = re.compile(rb"\x1b(\([A-Z]|\$\([A-Z]|\$[@AB]|[)-][A-Z]|\$\)[A-Z])?")
_ASCII: Final = frozenset((b"(B", b"(J"))
_RIGHT_HALF: Final = re.compile(rb"[)-][A-Z]|\$\)[A-Z]")
_JOINS: Final = frozenset((b"/", b"-", b"+"))
_MOST_NUMBERS: Final = 1000
"""Of a file's own that are looked for; with more, nothing with a digit stays."""
_REMEMBERED: Final = 4096
_SINGLE_VALUED: Final = frozenset((b"ST", b"LT", b"UT"))


class Words:
    """The words that may stay in one file."""

    def __init__(self, own: frozenset[str]) -> None:
        """`own` are words, in small letters, that may not stay."""
        self._own = own
        self._own_numbers = [word for word in own if len(word) >= 3 and not word.isalpha()]
        self._vocabulary = vocabulary()
        self._texts: dict[bytes, bytes] = {}

    @classmethod
    def of(cls, head: bytes, at: int, table: StepTable) -> Self:
        """The words that may stay in this file: none of the names and numbers of people at top level.

        `head` as `part10` found it, `at` where its data set begins, `table` for its encoding. Raises Malformed.
        """
        return cls(_own_words(head, at, table) | identifying_values(head))

    def cleaned(self, value: bytes, vr: bytes) -> bytes:
        """The text in ASCII with known words and harmless numbers only; empty when none is left.

        Nothing is decoded: bytes outside ASCII make the word that they stand in unknown, whatever the character set,
        and of sets that take turns (ISO 2022) only what is written in ASCII is read.
        """
        if vr in _SINGLE_VALUED:
            return self._one(value)
        cleaned = b"\\".join(map(self._one, value.split(b"\\")))
        if vr == b"CS":
            cleaned = re.sub(rb"[^A-Z0-9_ \\]", b"_", cleaned.upper())
        return cleaned if cleaned.strip(b"\\") else b""

    def _one(self, text: bytes) -> bytes:
        found = self._texts.get(text)
        if found is None:
            found = self._known(text, numbers=True)
            if self._reveals(found):
                found = self._known(text, numbers=False)
            if self._reveals(found):
                found = b""
            if len(self._texts) < _REMEMBERED:
                self._texts[text] = found
        return found

    def _reveals(self, text: bytes) -> bool:
        """Whether what stays spells one of the file's own numbers, in however many pieces."""
        if not _DIGIT.search(text):
            return False
        if len(self._own_numbers) > _MOST_NUMBERS:
            return True
        joined = _SEPARATORS.sub(b"", text).decode("ascii").lower()
        return any(number in joined for number in self._own_numbers)

    def _known(self, text: bytes, *, numbers: bool) -> bytes:
        return b" ".join(filter(None, (self._of_ascii(part, numbers) for part in _ascii_parts(text))))

    def _of_ascii(self, text: bytes, numbers: bool) -> bytes:
        chunks = [(match[0], match.start(), match.end()) for match in _CHUNKS.finditer(text)]
        kinds = [self._kind(chunk) for chunk, _, _ in chunks]
        out, end = bytearray(), -1
        for index, (chunk, start, stop) in enumerate(chunks):
            kind, before = kinds[index], kinds[index - 1] if index else _Kind.NONE
            after = kinds[index + 1] if index + 1 < len(chunks) else _Kind.NONE
            if kind is _Kind.NUMBER:
                # Neither days nor telephone numbers may stay, in whatever pieces they are written.
                alone = _Kind.NUMBER not in (before, after) and _Kind.DIGITS not in (before, after)
                stays = numbers and (after is _Kind.UNIT or (alone and _Kind.WORD in (before, after)))
            elif kind is _Kind.MEASURE:
                stays = numbers
            elif kind is _Kind.UNIT:
                stays = numbers and before is _Kind.NUMBER
            else:
                stays = kind in (_Kind.WORD, _Kind.CONNECTING)
            if stays:
                if out:
                    out += text[end:start] if text[end:start] in _JOINS else b" "
                out += chunk
                end = stop
        return bytes(out)

    def _kind(self, chunk: bytes) -> "_Kind":
        if not chunk.isascii():
            return _Kind.DIGITS if _DIGIT.search(chunk) else _Kind.NONE
        word = chunk.decode("ascii").lower()
        digits = _DIGIT.search(chunk) is not None
        if word in self._own:
            return _Kind.DIGITS if digits else _Kind.NONE
        if digits and (number := _NUMBER.fullmatch(word)):
            if not number[2]:
                return _Kind.NUMBER
            if number[2] in UNITS:
                return _Kind.MEASURE
        if word in CONNECTING:
            return _Kind.CONNECTING
        if word in self._vocabulary or word == "w/o":
            return _Kind.WORD
        if word in UNITS:
            return _Kind.UNIT
        return _Kind.DIGITS if digits else _Kind.NONE


class _Kind(Enum):
    """What a run of letters and digits is."""

    NONE = auto()
    WORD = auto()
    CONNECTING = auto()
    """Known, but nothing that a number could belong to."""
    NUMBER = auto()
    """Of at most 3 digits before and after the point."""
    MEASURE = auto()
    """A number with its unit."""
    UNIT = auto()
    DIGITS = auto()
    """Not known, and with digits in it."""


def _ascii_parts(text: bytes) -> list[bytes]:
    """What is written in ASCII, or in one byte a character, between the escape sequences of ISO 2022 (PS3.5 §6.1.2)."""
    if b"\x1b" not in text:
        return [text]
    parts, at, readable = [], 0, True
    for escape in _ESCAPES.finditer(text):
        if readable:
            parts.append(text[at : escape.start()])
        at, said = escape.end(), escape[1]
        if said is None:  # whatever follows, nobody knows how to read it
            return parts
        if not _RIGHT_HALF.fullmatch(said):
            readable = said in _ASCII
    return [*parts, text[at:]] if readable else parts


def _own_words(data: bytes, at: int, table: StepTable) -> frozenset[str]:
    """Words of every name of a person at top level, and of the numbers that people and their studies have."""
    found: set[str] = set()
    for here, value, end in table.walk(data, at):
        if here.tag > _LAST_WITH_NAMES:
            break
        if here.names_people:
            found.update(_LETTERS.findall(data[value:end].decode("ascii", "replace").lower()))
    return frozenset(found)
