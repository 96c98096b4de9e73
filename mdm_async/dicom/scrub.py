"""Apply a profile to a file's head and tail: kept bytes are copied verbatim, changed values are made anew.

Encoded elements are walked, not decoded: a run of kept elements is one slice, and a sequence of defined length only
gets its length patched once its items are written. So the cost is per element, and heads of tens of megabytes
(enhanced multi-frame) take seconds.
"""

from dataclasses import dataclass
from typing import Final

from mdm_async.dicom import encode
from mdm_async.dicom.dummies import dummy
from mdm_async.dicom.elements import (
    DEFLATED,
    ITEM,
    ITEM_END,
    MAX_DEPTH,
    PIXEL_TAGS,
    SEQUENCE_END,
    UNDEFINED,
    Encoding,
    encoding_of,
    skip_undefined,
    walk,
)
from mdm_async.dicom.filemeta import META_LIMIT, MetaReader, uid_text
from mdm_async.dicom.profile import EDITION, Profile
from mdm_async.dicom.pseudonym import Pseudonyms
from mdm_async.dicom.refusals import Description, PixelFacts, reasons, watched
from mdm_async.dicom.rules import IDENTIFIERS, Step, step_for
from mdm_async.errors import Malformed, ScrubRefused

__all__ = ["REVISION", "PixelFacts", "Scrubbed", "scrub"]

REVISION: int = 1
"""Goes up with every change of what comes out; the version of a view is (profile digest, revision)."""

_SOP_INSTANCE: Final = 0x00080018
_PATIENT_ID: Final = 0x00100020
_NEVER: Final = 1 << 32
"""Above every tag."""


@dataclass(frozen=True)
class Scrubbed:
    """What goes before and after the shared pixels."""

    head: bytes
    tail: bytes


def scrub(head: bytes, tail: bytes, *, profile: Profile, key: bytes, pixels: PixelFacts) -> Scrubbed:
    """De-identify what `part10` found before and after the pixels.

    `head` is preamble, meta and elements, `tail` elements; of a deflated file the inflated ones, and what comes out is
    Explicit VR Little Endian. The same input, profile, key and REVISION give the same bytes. Attributes that neither
    the profile nor the public dictionary knows are removed.

    Raises ScrubRefused when something identifying lies where this does not reach, Malformed when lengths do not fit.
    """
    meta = MetaReader()
    if not meta.feed(memoryview(head)[: META_LIMIT + 256]):
        meta.close()
    transfer_syntax = meta.transfer_syntax
    assert transfer_syntax is not None
    encoding = encoding_of(transfer_syntax)
    pseudonyms = Pseudonyms(key)

    before = _Copier(head, encoding, profile, pseudonyms)
    before.patient = pseudonyms.identifier(
        IDENTIFIERS[_PATIENT_ID], _first_value(head, meta.end, encoding, _PATIENT_ID)
    )
    before.additions = _additions(profile, encoding)
    before.top_level(meta.end)
    after = _Copier(tail, encoding, profile, pseudonyms)
    after.patient, after.about = before.patient, before.about
    after.top_level(0)

    about = before.about
    why = list(dict.fromkeys(reasons(about, meta.sop_class, transfer_syntax, pixels)))
    if after.pixels_seen or before.pixels_seen:
        why.append("there are pixels beside those that the file was split at")
    instance = about.values.get(_SOP_INSTANCE, b"").strip(b"\0 ") or (meta.sop_instance or "").encode()
    if not instance:
        why.append("the SOP Instance UID is missing")
    if why:
        raise ScrubRefused("; ".join(why))
    return Scrubbed(
        encode.preamble_and_meta(
            sop_class=(meta.sop_class or uid_text(about.values[0x00080016])).encode(),
            sop_instance=pseudonyms.uid_value(instance),
            transfer_syntax=b"1.2.840.10008.1.2.1"
            if transfer_syntax == DEFLATED
            else transfer_syntax.encode(),
        )
        + before.out,
        bytes(after.out),
    )


def _additions(profile: Profile, encoding: Encoding) -> list[tuple[int, bytes]]:
    """What is said of every scrubbed file (PS3.15 §E.3, §E.3.6; codes of PS3.16 CID 7050): (tag, encoded element)."""
    method = f"mdm_async {profile.name} {REVISION}, PS3.15 {profile.edition or EDITION}".encode()
    codes = encode.code(b"113100", b"DCM", b"Basic Application Confidentiality Profile", encoding)
    said = (
        (0x00120062, b"CS", b"YES"),
        (0x00120063, b"LO", method),
        (0x00120064, b"SQ", codes),
        (0x00280303, b"CS", b"REMOVED"),
    )
    return [(tag, encode.element(tag, vr, value, encoding)) for tag, vr, value in said]


def _first_value(data: bytes, at: int, encoding: Encoding, wanted: int) -> bytes:
    """The value of a top-level element, looked for no further than ascending order allows; b"" when it is not there."""
    for element in walk(data, at, len(data), encoding):
        if element.tag >= wanted:
            return data[element.value : element.value + element.length] if element.tag == wanted else b""
    return b""


class _Copier:
    """Copies one buffer's data set, scrubbed, to `out`."""

    def __init__(self, data: bytes, encoding: Encoding, profile: Profile, pseudonyms: Pseudonyms) -> None:
        self.out = bytearray()
        self.about = Description(encoding)
        self.patient = b""
        self.additions: list[tuple[int, bytes]] = []
        self.pixels_seen = False
        self._data = data
        self._view = memoryview(data)
        self._encoding = encoding
        self._profile = profile
        self._pseudonyms = pseudonyms
        self._steps: dict[tuple[int, bytes], tuple[Step, bytes]] = {}

    def top_level(self, at: int) -> None:
        """Copy the outermost data set from this offset to the buffer's end, with the additions in their places."""
        self._data_set(at, len(self._data), self._encoding, 0, closed=False)
        for _, encoded in self.additions:
            self.out += encoded

    def _data_set(self, at: int, end: int, encoding: Encoding, depth: int, *, closed: bool) -> int:
        """Copy a data set; the offset after it, and after its delimiter if it is `closed` by one."""
        data, out, steps, header = self._data, self.out, self._steps, encoding.header
        next_addition = self.additions[0][0] if self.additions and not depth else _NEVER
        run = at  # everything from here on is to be copied as it is
        while at < end:
            tag, vr, value, length = header(data, at, end)
            if tag >= next_addition:
                out += self._view[run:at]
                run = at
                next_addition = self._add_before(tag)
            known = steps.get((tag, vr))
            if known is None:
                if tag >> 16 == 0xFFFE:
                    if closed and tag == ITEM_END and length == 0:
                        out += self._view[run:value]
                        return value
                    raise Malformed(f"an item or a delimiter at byte {at} where an element should be")
                known = steps[tag, vr] = step_for(tag, vr, self._profile)
            step = known[0]
            after = value + length
            if after > end and length != UNDEFINED:
                raise Malformed(f"a length at byte {at} points past the end of its container")
            if not depth:
                self._note(tag, value, length)
            if step is Step.COPY and length != UNDEFINED:
                at = after
                continue
            out += self._view[run:at]
            if step is Step.ENTER or (step is Step.COPY and vr in (b"UN", b"SQ", b"")):
                at = self._sequence(at, vr, value, length, end, encoding, depth)
            else:
                if length == UNDEFINED:
                    after = skip_undefined(data, tag, vr, value, end, encoding)
                self._changed(step, tag, known[1], value, after, encoding, depth)
                at = after
            run = at
        if closed:
            raise Malformed(f"an item has no delimiter before byte {end}")
        out += self._view[run:end]
        return end

    def _sequence(
        self, at: int, vr: bytes, value: int, length: int, end: int, encoding: Encoding, depth: int
    ) -> int:
        """Copy a sequence whose header is at `at`, its items scrubbed and its lengths made right."""
        if depth >= MAX_DEPTH:
            raise Malformed(f"sequences are nested deeper than {MAX_DEPTH} levels at byte {at}")
        out, around, encoding = self.out, encoding, encoding.inside(vr)
        out += self._view[at:value]
        start, stop = len(out), end if length == UNDEFINED else value + length
        at = value
        while at < stop:
            tag, _, value, item_length = encoding.header(self._data, at, stop)
            out += self._view[at:value]
            if tag == SEQUENCE_END and length == UNDEFINED and item_length == 0:
                return value
            if tag != ITEM:
                raise Malformed(f"neither an item nor a delimiter at byte {at}")
            inner = encoding.of_item(self._data, value, stop)
            if item_length == UNDEFINED:
                at = self._data_set(value, stop, inner, depth + 1, closed=True)
                continue
            if item_length > stop - value:
                raise Malformed(f"an item at byte {at} points past the end of its sequence")
            item_start = len(out)
            at = self._data_set(value, value + item_length, inner, depth + 1, closed=False)
            encoding.u32.pack_into(out, item_start - 4, len(out) - item_start)
        if length == UNDEFINED:
            raise Malformed(f"a sequence has no delimiter before byte {stop}")
        around.u32.pack_into(out, start - 4, len(out) - start)
        return stop

    def _changed(
        self, step: Step, tag: int, vr: bytes, value: int, after: int, encoding: Encoding, depth: int
    ) -> None:
        """Write what takes the place of an element. What was empty stays empty: it told nothing."""
        if step in (
            Step.DROP,
            Step.COPY,
        ):  # COPY comes here only with fragments, which nobody has looked into
            return
        old = self._data[value:after]
        new = b""
        if step is Step.UID:
            new = self._pseudonyms.uid_value(old)
        elif step is Step.IDENTIFIER:
            new = self._pseudonyms.identifier(IDENTIFIERS[tag], old)
        elif step is Step.NAME and not depth:
            # The patient of this file; a name elsewhere may be another's, and becomes empty.
            new = self.patient if old.strip(b"\0 ") else b""
        elif step is Step.DUMMY and old:
            new = dummy(tag, vr, encoding)
        self.out += encode.element(tag, vr, new, encoding)

    def _add_before(self, tag: int) -> int:
        """Write the additions that come before this tag; the tag of the next one."""
        while self.additions and self.additions[0][0] <= tag:
            self.out += self.additions.pop(0)[1]
        return self.additions[0][0] if self.additions else _NEVER

    def _note(self, tag: int, value: int, length: int) -> None:
        if tag in PIXEL_TAGS:
            self.pixels_seen = True
        elif watched(tag) or tag == _SOP_INSTANCE:
            self.about.note(tag, self._data[value : value + min(length, 256)])
