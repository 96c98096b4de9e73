"""One rule for codes wherever they stand (PS3.3 §8): published ones say what is published, others are a site's own.

The meaning of a published code is the published one, or is replaced by it. What a site's own scheme calls its codes is
free text; its name and its values become pseudonyms.
"""

import re
from functools import lru_cache
from typing import Final

from mdm_async.dicom.dictionary import vr_of
from mdm_async.dicom.profile import Action, Rule
from mdm_async.dicom.pseudonym import Pseudonyms
from mdm_async.dicom.scrubbing.dummies import DUMMY_TEXT
from mdm_async.dicom.scrubbing.step import Step, StepKind
from mdm_async.dicom.scrubbing.words import Words
from mdm_async.dicom.values.codes import has_shape, published_meanings

CODE_VALUE, SCHEME, VERSION, MEANING = 0x00080100, 0x00080102, 0x00080103, 0x00080104
LONG_CODE_VALUE: Final = 0x00080119
LAST: Final = 0x00080120
"""URN Code Value: the last of the elements that make up a code."""

PUBLIC_SCHEMES: Final = frozenset(
    b"ACR ASTM-sigpurpose BARI BI C4 CD2 DC DCM FMA HPC I10 I10C I10P I11 I9 I9C IBSI ICDO ICDO3 ISO3166_1 "
    b"ISO639_1 ISO639_2 ITIS_TSN LN MA MDC MGI MSH MVX NCIt NDC NEU NICIP PUBCHEM_CID RADELEMENT RADLEX RFC3066 "
    b"RFC5646 RXNORM SCT SNM3 SRT UBERON UCUM UMLS UNS UPC".split()
)
"""Designators of schemes that are published, so that the name alone tells of no site."""

Values = tuple[tuple[int, bytes], ...]
"""(tag, value without padding) of the elements that make up a code, in file order."""
Judged = tuple[Step, bytes]
"""What is done with one of them, and what it says then; of a step that copies, what it says anyway."""

_OWN_SCHEME: Final = b"99MDM"
_VERSION_FORM: Final = re.compile(rb"(?:(?:19[89]|20)\d{6}|[Vv]?\d{1,4}(?:\.\d{1,3}){0,2}[A-Za-z]?)?")
_PUBLISHED: Final = Rule(Action.KEEP, "published code")
_AS_PUBLISHED: Final = Rule(Action.CLEAN, "meaning of a published code")
_OWN: Final = Rule(Action.DUMMY, "code of a scheme that is not published")
_NO_VERSION: Final = Rule(Action.REMOVE, "version of no published scheme")
_FREE_TEXT: Final = Rule(Action.DUMMY, "free text")
_CLEANED: Final = Rule(Action.CLEAN, "option clean_descriptors")
_REMEMBERED: Final = 4096


class CodeItems:
    """Judges the codes of one file."""

    def __init__(self, pseudonyms: Pseudonyms, words: Words | None) -> None:
        """Without `words`, no free text stays."""
        self._pseudonyms = pseudonyms
        self._words = words
        self._known: dict[Values, dict[int, Judged]] = {}

    def judged(self, values: Values) -> dict[int, Judged]:
        """By tag, what becomes of the elements of a code."""
        found = self._known.get(values)
        if found is None:
            said = dict(values)
            # Of an element that is there twice readers differ in which they take.
            once = len(said) == len(values)
            found = self._published(said) if once and _is_published(said) else self._own(said)
            if len(self._known) >= _REMEMBERED:
                self._known.clear()
            self._known[values] = found
        return found

    def _published(self, said: dict[int, bytes]) -> dict[int, Judged]:
        found = {}
        for tag, value in said.items():
            if tag == MEANING:
                found[tag] = self._meaning(said)
            elif tag == VERSION and not _VERSION_FORM.fullmatch(value):
                found[tag] = _step(tag, StepKind.DROP, _NO_VERSION), b""
            else:
                found[tag] = _step(tag, StepKind.COPY, _PUBLISHED), value
        return found

    def _meaning(self, said: dict[int, bytes]) -> Judged:
        meanings = published_meanings(said[SCHEME], _code_value(said))
        if not meanings:
            return self._free_text(MEANING, said[MEANING])
        if said[MEANING] in meanings:
            return _step(MEANING, StepKind.COPY, _PUBLISHED), said[MEANING]
        return _step(MEANING, StepKind.VALUE, _AS_PUBLISHED), meanings[0]

    def _own(self, said: dict[int, bytes]) -> dict[int, Judged]:
        found = {}
        for tag, value in said.items():
            if tag == MEANING:
                found[tag] = self._free_text(tag, value)
            elif tag == SCHEME and value in PUBLIC_SCHEMES and not said.keys() - {SCHEME, VERSION}:
                found[tag] = _step(tag, StepKind.COPY, _PUBLISHED), value
            elif tag == SCHEME:
                found[tag] = _step(tag, StepKind.VALUE, _OWN), _OWN_SCHEME if value else b""
            elif tag in (CODE_VALUE, LONG_CODE_VALUE):
                found[tag] = _step(tag, StepKind.VALUE, _OWN), self._pseudonyms.identifier("code", value)
            else:
                found[tag] = _step(tag, StepKind.DROP, _OWN), b""
        return found

    def _free_text(self, tag: int, value: bytes) -> Judged:
        if self._words is not None and (left := self._words.cleaned(value, b"LO")):
            return _step(tag, StepKind.VALUE, _CLEANED), left
        return _step(tag, StepKind.VALUE, _FREE_TEXT), DUMMY_TEXT if value else b""


def _is_published(said: dict[int, bytes]) -> bool:
    """Whether a code of a published scheme is said, and nothing beside it."""
    value = _code_value(said)
    return (
        bool(value)
        and said.keys() <= {CODE_VALUE, LONG_CODE_VALUE, SCHEME, VERSION, MEANING}
        and has_shape(said.get(SCHEME, b""), value)
    )


def _code_value(said: dict[int, bytes]) -> bytes:
    """The one value; b"" without any, or when there are two."""
    short, long = said.get(CODE_VALUE, b""), said.get(LONG_CODE_VALUE, b"")
    return b"" if short and long else short or long


@lru_cache(maxsize=64)
def _step(tag: int, kind: StepKind, rule: Rule) -> Step:
    return Step(tag, b"", kind, rule, vr=vr_of(tag))
