"""Steps, looked up by the bytes an element begins with, so that each kind of element is thought about once."""

import struct
from collections.abc import Iterator
from functools import lru_cache
from typing import Final

from mdm_async.dicom.elements import (
    BLANK_VRS,
    EXPLICIT_BIG,
    EXPLICIT_LITTLE,
    IMPLICIT_BIG,
    IMPLICIT_LITTLE,
    UNDEFINED,
    Buffer,
    Encoding,
)
from mdm_async.dicom.items import ITEM_END
from mdm_async.dicom.profile import Action, Profile, Rule
from mdm_async.dicom.scrubbing.step import Step, StepKind
from mdm_async.dicom.scrubbing.steps import Where, step_of, step_of_private, step_of_public
from mdm_async.dicom.walking import skip_undefined
from mdm_async.errors import Malformed

_MOST: Final = 8192
"""Steps remembered by one table; files have hundreds of kinds of elements, hostile ones any number."""
_BEGINNINGS: Final = {
    EXPLICIT_LITTLE: struct.Struct("<6sH"),
    EXPLICIT_BIG: struct.Struct(">6sH"),
    IMPLICIT_LITTLE: struct.Struct("<4sL"),
    IMPLICIT_BIG: struct.Struct(">4sL"),
}
_PADDING: Final = Step(0, b"", StepKind.PADDING, Rule(Action.REMOVE, "zeros after the data set"))
_END: Final = Step(ITEM_END, b"", StepKind.ITEM_END, Rule(Action.KEEP, ""))


class StepTable:
    """The steps of one profile for elements of one encoding in one kind of place."""

    __slots__ = ("beginning", "doubtful", "encoding", "known", "profile", "where")

    def __init__(self, profile: Profile, encoding: Encoding, where: Where) -> None:
        self.profile = profile
        self.encoding = encoding
        self.where = where
        self.beginning = _BEGINNINGS[encoding]
        """An element's first 8 bytes: tag and VR, and a length of 2 bytes, or tag and a length of 4."""
        self.known: dict[bytes, Step] = {}
        self.doubtful: dict[bytes, Step] = {}
        """Of elements whose beginning alone does not tell that they are some: each has to be read."""

    def meet(self, data: Buffer, at: int, end: int) -> Step:
        """The step of an element whose beginning is not known yet. Raises Malformed."""
        beginning = self.beginning.unpack_from(data, at)[0]
        if self.encoding.items.is_at(data, at):
            if self.encoding.items.header(data, at, end)[0] != ITEM_END:
                raise Malformed(f"an item or a delimiter at byte {at} where an element should be")
            found = _END
        elif data[at : at + 8] == bytes(8):
            return _PADDING
        else:
            tag, vr, value, _ = self.encoding.header(data, at, end)
            if (met := self.doubtful.get(beginning)) is not None:
                return met
            found = step_of(tag, vr, self.profile, self.where)
            found.long = value - at == 12
            if vr in BLANK_VRS or not tag:
                return self._remember(self.doubtful, beginning, found)
        return self._remember(self.known, beginning, found)

    def _remember(self, steps: dict[bytes, Step], beginning: bytes, found: Step) -> Step:
        if len(steps) >= _MOST:
            steps.clear()
        steps[beginning] = found
        return found

    def walk(self, data: bytes, at: int) -> Iterator[tuple[Step, int, int]]:
        """(step, value offset, offset after the value) of every element to the buffer's end.

        As `walking.walk`, for who needs a few values of a data set that is gone through anyway; values of undefined
        length are left out.
        """
        end, known, unpack = len(data), self.known.get, self.beginning.unpack_from
        while end - at >= 8:
            beginning, length = unpack(data, at)
            here = known(beginning) or self.meet(data, at, end)
            value = at + 8
            if here is _PADDING:
                return
            if here is _END:
                raise Malformed(f"an item or a delimiter at byte {at} where an element should be")
            if here.long:
                value, length = at + 12, self.encoding.header(data, at, end)[3]
            if length == UNDEFINED:
                at = skip_undefined(data, here.tag, here.written, value, end, self.encoding)
                continue
            at = value + length
            if at > end:
                raise Malformed(f"a length at byte {value} points past the end of its container")
            yield here, value, at


class StepBook:
    """All steps of one profile."""

    def __init__(self, profile: Profile) -> None:
        self.profile = profile
        self._tables: dict[tuple[Encoding, Where], StepTable] = {}
        self._private: dict[tuple[str, int, bytes], Step] = {}
        """Of private elements, and of overlays with the creator "": (creator, tag, VR) and step."""
        self._dropped: dict[str, Step] = {}
        """One for all private elements that are removed for the same reason."""

    def table(self, encoding: Encoding, where: Where) -> StepTable:
        found = self._tables.get((encoding, where))
        if found is None:
            found = self._tables[encoding, where] = StepTable(self.profile, encoding, where)
        return found

    def private(self, creator: str, tag: int, vr: bytes) -> Step:
        """The step of an element in a block of this creator."""
        key = (creator, tag, vr)
        found = self._private.get(key)
        if found is None:
            found = step_of_private(tag, vr, creator, self.profile)
            if found.kind is StepKind.DROP:
                found = self._dropped.setdefault(found.because, found)
            self._remember(key, found)
        return found

    def overlay(self, tag: int, vr: bytes) -> Step:
        """The step of an element of an overlay that shows a region of interest."""
        key = ("", tag, vr)
        found = self._private.get(key)
        if found is None:
            found = step_of_public(tag, vr, self.profile.rule(tag), self.profile)
            self._remember(key, found)
        return found

    def _remember(self, key: tuple[str, int, bytes], found: Step) -> None:
        if len(self._private) >= _MOST:
            self._private.clear()
        self._private[key] = found


@lru_cache(maxsize=16)
def book_of(profile: Profile) -> StepBook:
    """The steps of a profile, which go on growing while files of new kinds come by."""
    return StepBook(profile)
