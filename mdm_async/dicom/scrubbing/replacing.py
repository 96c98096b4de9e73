"""What takes the place of values: pseudonyms, dummies, moved dates, known words."""

from typing import Final

from mdm_async.dicom.elements import Encoding
from mdm_async.dicom.issuers import issued
from mdm_async.dicom.pseudonym import Pseudonyms
from mdm_async.dicom.scrubbing.dates import shifted
from mdm_async.dicom.scrubbing.dummies import DUMMY_TEXT, dummy
from mdm_async.dicom.scrubbing.generalising import generalised
from mdm_async.dicom.scrubbing.step import Step, StepKind
from mdm_async.dicom.scrubbing.steps import IDENTIFIERS, PATIENT_ID
from mdm_async.dicom.scrubbing.words import Words

_EMPTY: Final = b"\0 "
_DIMENSION_POINTER, _GROUP_POINTER = 0x00209165, 0x00209167
"""Dimension Index Pointer, Functional Group Pointer (PS3.3 §C.7.6.17): one after the other in an item."""
_INDICES, _FRAME_CONTENT = 0x00209157, 0x00209111
"""Dimension Index Values, Frame Content Sequence."""


class Replacing:
    """Makes the new values of one file."""

    def __init__(
        self,
        pseudonyms: Pseudonyms,
        patient: bytes,
        days: int,
        words: Words | None,
        *,
        patient_id: bytes,
        issuer: str,
    ) -> None:
        """`patient` is what the file's patient, of the original `patient_id` of that issuer, is called; without
        `words`, no text is known to be harmless.
        """
        self._pseudonyms = pseudonyms
        self._patient = patient
        self._patient_id = patient_id.strip(_EMPTY)
        self._issuer = issuer
        self._days = days
        self._words = words
        self._only_indices = False
        """Whether the dimension gone through points to nothing that stays."""

    def value(self, step: Step, old: bytes, encoding: Encoding, *, nested: bool) -> bytes | None:
        """The new value, unpadded; None when the element goes. What was empty stays empty: it told nothing."""
        kind, new = step.kind, b""
        if kind is StepKind.VALUE:
            return step.value
        if kind is StepKind.RESTATE:
            return old
        if kind is StepKind.COARSER and step.value is not None:
            coarser = generalised(step.value.decode(), step.vr, old)
            if coarser is not None:
                return coarser
            kind = step.fallback
        if kind is StepKind.WORDS:
            new = self._words.cleaned(old, step.vr) if self._words is not None else b""
            if new:
                return new
            kind = step.fallback
        if kind is StepKind.DROP:
            return None
        if kind is StepKind.UID:
            new = self._pseudonyms.uid_value(old)
        elif kind is StepKind.IDENTIFIER:
            own = step.tag == PATIENT_ID and bytes(old).strip(_EMPTY) == self._patient_id
            # Other patients' IDs in a file are of whoever issued this one's.
            whole = issued(bytes(old), self._issuer) if step.tag == PATIENT_ID else old
            new = self._patient if own else self._pseudonyms.identifier(IDENTIFIERS[step.tag], whole)
        elif kind is StepKind.NAME and not nested:
            # The patient of this file; a name elsewhere may be another's, and becomes empty.
            new = self._patient + b"^" if self._patient and old.strip(_EMPTY) else b""
        elif kind is StepKind.TERMS and step.allow is not None:
            said = bytes(old).split(b"\\")
            stay = step.allow(said)
            new = b"\\".join(one if stays else DUMMY_TEXT for one, stays in zip(said, stay, strict=True))
        elif kind is StepKind.TAGS:
            new = self._pointers(step, bytes(old), encoding)
            if old and not new:
                return None
        elif kind is StepKind.SHIFT:
            moved = shifted(step.vr, old, self._days)
            new = dummy(step.tag, step.vr, encoding) if moved is None else moved
        elif kind is StepKind.DUMMY and old:
            new = dummy(step.tag, step.vr, encoding, bytes(old))
        return new

    def _pointers(self, step: Step, old: bytes, encoding: Encoding) -> bytes:
        """Of a value of VR AT the tags of what stays.

        A dimension stays though the attribute that it points to goes: frames have one index for each. It points then
        to the indices themselves, by which frames are still told apart, and to the group that they are in.
        """
        new = self._remaining(step, old, encoding)
        if step.tag == _DIMENSION_POINTER:
            self._only_indices = not new
            return new or _pointer(_INDICES, encoding)
        if step.tag == _GROUP_POINTER and (self._only_indices or not new):
            return _pointer(_FRAME_CONTENT, encoding)
        return new

    def _remaining(self, step: Step, old: bytes, encoding: Encoding) -> bytes:
        """Of a value of VR AT the tags that are allowed."""
        left = bytearray()
        for at in range(0, len(old) - 3, 4):
            group, element = (encoding.u16.unpack_from(old, at + offset)[0] for offset in (0, 2))
            if step.allows(group << 16 | element):
                left += old[at : at + 4]
        return bytes(left)


def _pointer(tag: int, encoding: Encoding) -> bytes:
    return encoding.u16.pack(tag >> 16) + encoding.u16.pack(tag & 0xFFFF)
