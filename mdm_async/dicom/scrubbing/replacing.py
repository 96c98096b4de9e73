"""What takes the place of values: pseudonyms, dummies, moved dates, known words."""

from typing import Final

from mdm_async.dicom.elements import Encoding
from mdm_async.dicom.pseudonym import Pseudonyms
from mdm_async.dicom.scrubbing.dates import shifted
from mdm_async.dicom.scrubbing.dummies import dummy
from mdm_async.dicom.scrubbing.rules import IDENTIFIERS, Step, Treatment
from mdm_async.dicom.scrubbing.words import Words

_OWN_SCHEME: Final = b"99MDM"
_EMPTY: Final = b"\0 "


class Replacing:
    """Makes the new values of one file."""

    def __init__(self, pseudonyms: Pseudonyms, patient: bytes, days: int, words: Words | None) -> None:
        """`patient` is the pseudonym of the file's patient; without `words`, no text is known to be harmless."""
        self._pseudonyms = pseudonyms
        self._patient = patient
        self._days = days
        self._words = words

    def value(self, treatment: Treatment, old: bytes, encoding: Encoding, *, nested: bool) -> bytes | None:
        """The new value, unpadded; None when the element goes. What was empty stays empty: it told nothing."""
        step, new = treatment.step, b""
        if step is Step.VALUE:
            return treatment.value
        if step in (Step.WORDS, Step.MEANING):
            new = self._words.cleaned(old, treatment.vr) if self._words is not None else b""
            if new:
                return new
            step = treatment.fallback
        if step is Step.DROP:
            return None
        if step is Step.UID:
            new = self._pseudonyms.uid_value(old)
        elif step is Step.IDENTIFIER:
            new = self._pseudonyms.identifier(IDENTIFIERS[treatment.tag], old)
        elif step is Step.SCHEME and old:
            new = _OWN_SCHEME
        elif step is Step.CODE and treatment.vr != b"UR":
            new = self._pseudonyms.identifier("code", old)
        elif step is Step.NAME and not nested:
            # The patient of this file; a name elsewhere may be another's, and becomes empty.
            new = self._patient if old.strip(_EMPTY) else b""
        elif step is Step.SHIFT:
            moved = shifted(treatment.vr, old, self._days)
            new = dummy(treatment.tag, treatment.vr, encoding) if moved is None else moved
        elif step in (Step.DUMMY, Step.CODE) and old:
            new = dummy(treatment.tag, treatment.vr, encoding)
        return new
