"""What a profile would make of one file: scrubbed here, in memory, with a key that is thrown away."""

import secrets
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from mdm_async.cli.profile.trial_rows import DataSet, Row, compare
from mdm_async.cli.profile.trial_values import Values
from mdm_async.dicom.filemeta import read_meta
from mdm_async.dicom.mapping import Mapping, Subject, demand_subject
from mdm_async.dicom.part10 import Kind, Piece, Splitter
from mdm_async.dicom.pixels.decoding import decode
from mdm_async.dicom.pixels.description import Description, PixelFacts
from mdm_async.dicom.pixels.inspector import Inspector
from mdm_async.dicom.pixels.plan import ORIGINAL, PixelPlan, describe, plan
from mdm_async.dicom.profile import Profile
from mdm_async.dicom.scrub import Begun, Done, begin, finish
from mdm_async.dicom.walking import walk
from mdm_async.errors import MdmError, ScrubRefused

_CHUNK: Final = 1 << 20
_CHARACTER_SET: Final = 0x00080005
_BURNED_IN: Final = "(0028,0301)"


@dataclass(frozen=True, slots=True)
class Trial:
    """What would be done to a file, and whether its view would be served."""

    rows: tuple[Row, ...]
    verdict: str
    """served, refused or quarantined."""
    reasons: tuple[str, ...]
    pixels: str
    """What would be done to them, in words."""
    warnings: tuple[str, ...]
    """What may still show who it is."""


@dataclass(frozen=True, slots=True, repr=False)
class _Parts:
    head: bytes
    tail: bytes
    facts: PixelFacts


def try_file(
    file: Path,
    profile: Profile,
    *,
    force: bool = False,
    mapping: Mapping | None = None,
    issued_by: str | None = None,
) -> Trial:
    """`force` as of `mdm put`, `issued_by` as of `issuer_of`. Without a `mapping`, a profile that uses one calls
    everybody SUBJECT.

    Raises NotDicom, Malformed or Truncated for what would not be stored at all.
    """
    key = secrets.token_bytes(32)
    parts = _cut(file, force=force)
    begun, head, tail = None, None, None
    in_head: Done = {}
    in_tail: Done = {}
    subject = Subject("SUBJECT") if profile.unmapped is not None else None
    reasons: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    verdict, pixels = "served", "there are none"
    try:
        about, sop_class, transfer_syntax = describe(parts.head)
        planned = plan(about, sop_class, transfer_syntax, profile).after(parts.facts)
        pixels = pixels_in_words(planned) if parts.facts.present else pixels
        if mapping is not None:
            subject = demand_subject(parts.head, mapping, profile.unmapped, issued_by)
        begun = begin(parts.head, profile=profile, key=key, subject=subject, done=in_head)
        scrubbed = finish(begun, parts.tail, profile=profile, key=key, pixels=parts.facts, done=in_tail)
        if planned.decode:
            begun = _decoded(file, parts, planned, profile, key, subject)
            scrubbed = finish(begun, parts.tail, profile=profile, key=key, pixels=parts.facts)
        head, tail, warnings = scrubbed.head, scrubbed.tail, scrubbed.warnings
    except ScrubRefused as why:
        verdict, reasons = "quarantined" if why.quarantined else "refused", tuple(str(why).split("; "))
    except MdmError as why:
        verdict, reasons = "refused", (f"the data set cannot be walked: {why.detail}",)
    rows = _rows(parts, head or (begun.head if begun else None), tail, (in_head, in_tail))
    if head is None:
        # Only a head that is served says whether something is burned in.
        rows = (replace(row, known=row.known and row.tag != _BURNED_IN) for row in rows)
    return Trial(tuple(rows), verdict, reasons, pixels, warnings)


def pixels_in_words(planned: PixelPlan) -> str:
    """What a plan does to the pixels."""
    if planned.variant == ORIGINAL:
        return "as they are"
    said = ["decompressed"] if planned.decode else []
    if planned.regions:
        count = len(planned.regions)
        said.append(f"{count} region{'s' * (count > 1)} of every frame blanked")
    if planned.clear_unused:
        said.append("unused bits cleared")
    if planned.excess:
        said.append("bytes after the last frame cut")
    if planned.reframe:
        said.append("frames written anew behind a right offset table")
    if planned.codestreams:
        said.append("what is no picture in the codestreams overwritten")
    if planned.hook is not None:
        said.append(f"given to the server's hook '{planned.hook}'")
    return ", ".join(said)


def _described(head: bytes) -> Description | None:
    try:
        return describe(head)[0]
    except MdmError:
        return None  # scrubbing will say what is wrong with it


def _cut(file: Path, *, force: bool) -> _Parts:
    splitter = Splitter(force=force)
    found = {Kind.HEAD: bytearray(), Kind.TAIL: bytearray()}
    inspector = None
    for piece in _pieces(file, splitter):
        if piece.kind in found:
            found[piece.kind] += piece.data
        elif piece.kind is Kind.PIXELS:
            if inspector is None:
                about = _described(bytes(found[Kind.HEAD]))
                inspector = Inspector(splitter.transfer_syntax or "", about)
            inspector.feed(piece.data)
    facts = PixelFacts(
        present=inspector is not None,
        value_length=splitter.pixel_value_length,
        encapsulated=splitter.encapsulated,
        findings=inspector.findings() if inspector else (),
    )
    return _Parts(bytes(found[Kind.HEAD]), bytes(found[Kind.TAIL]), facts)


def _pieces(file: Path, splitter: Splitter) -> Iterator[Piece]:
    with file.open("rb") as opened:
        while chunk := opened.read(_CHUNK):
            yield from splitter.stream(chunk)
    yield from splitter.close()


def _decoded(
    file: Path, parts: _Parts, planned: PixelPlan, profile: Profile, key: bytes, subject: Subject | None
) -> Begun:
    """The head as it is with decoded pixels. ScrubRefused when they cannot be decoded here."""
    pixels = b"".join(bytes(p.data) for p in _pieces(file, Splitter(force=True)) if p.kind is Kind.PIXELS)
    edits, frames = decode(parts.head, pixels, planned)
    for _ in frames:
        pass
    return begin(parts.head, profile=profile, key=key, edits=edits, subject=subject)


def _rows(parts: _Parts, head: bytes | None, tail: bytes | None, done: tuple[Done, Done]) -> Iterator[Row]:
    """Of head and tail, as far as they can be walked."""
    try:
        before = _data_set(parts.head)
        yield from compare(before, _data_set(head) if head is not None else None, done[0])
        rest, made = (
            DataSet(each, 0, len(each), before.encoding, before.values) if each is not None else None
            for each in (parts.tail, tail)
        )
        assert rest is not None
        yield from compare(rest, made, done[1])
    except MdmError:
        return  # the verdict says why


def _data_set(head: bytes) -> DataSet:
    meta = read_meta(head)
    encoding = meta.encoding
    character_set = b""
    for element in walk(head, meta.end, len(head), encoding):
        if element.tag >= _CHARACTER_SET:
            if element.tag == _CHARACTER_SET:
                character_set = head[element.value : element.end]
            break
    return DataSet(head, meta.end, len(head), encoding, Values(character_set))
