"""What the server does with one file, in one call: cut, look at the pixels, scrub. For tests and the bench."""

import io
import warnings
from dataclasses import dataclass

import pydicom

from mdm_async.dicom.part10 import Kind, Splitter
from mdm_async.dicom.pixels import plan as pixel_plan
from mdm_async.dicom.pixels.cleaning import PixelCleaner
from mdm_async.dicom.pixels.decoding import decode
from mdm_async.dicom.pixels.inspector import Inspector
from mdm_async.dicom.pixels.plan import ORIGINAL, PixelPlan
from mdm_async.dicom.profile import Profile, basic
from mdm_async.dicom.scrub import PixelFacts, begin, finish

KEY = bytes(range(32))


@dataclass(frozen=True)
class Parts:
    """A file that was cut."""

    head: bytes
    pixels: bytes
    tail: bytes
    facts: PixelFacts


def cut(data: bytes, *, force: bool = False) -> Parts:
    """Raises NotDicom, Malformed or Truncated."""
    splitter, found = Splitter(force=force), {kind: bytearray() for kind in Kind}
    for piece in (*splitter.feed(data), *splitter.close()):
        found[piece.kind] += piece.data
    head, pixels, tail = (bytes(found[kind]) for kind in (Kind.HEAD, Kind.PIXELS, Kind.TAIL))
    findings: tuple[str, ...] = ()
    if pixels:
        about, _, transfer_syntax = pixel_plan.describe(head)
        inspector = Inspector(transfer_syntax, about)
        inspector.feed(pixels)
        findings = inspector.findings()
    facts = PixelFacts(bool(pixels), splitter.pixel_value_length, splitter.encapsulated, findings)
    return Parts(head, pixels, tail, facts)


def plan_of(parts: Parts, profile: Profile) -> PixelPlan:
    """What has to be done to the pixels."""
    about, sop_class, transfer_syntax = pixel_plan.describe(parts.head)
    return pixel_plan.plan(about, sop_class, transfer_syntax, profile).after(parts.facts)


def deidentified(
    data: bytes, profile: Profile | None = None, key: bytes = KEY, *, force: bool = False
) -> bytes:
    """The whole file as a view. Raises as `cut`, and ScrubRefused."""
    return assembled(cut(data, force=force), profile or basic(), key)


def assembled(parts: Parts, profile: Profile, key: bytes = KEY, piece: int = 1 << 16) -> bytes:
    """As `deidentified`; changed pixels are fed in pieces of this many bytes."""
    plan = plan_of(parts, profile)
    begun = begin(parts.head, profile=profile, key=key)
    made = finish(begun, parts.tail, profile=profile, key=key, pixels=parts.facts)
    pixels = parts.pixels
    if plan.decode:
        edits, frames = decode(parts.head, parts.pixels, plan)
        pixels = b"".join(frames)
        begun = begin(parts.head, profile=profile, key=key, edits=edits)
        made = finish(begun, parts.tail, profile=profile, key=key, pixels=parts.facts)
    elif plan.variant != ORIGINAL:
        cleaner = PixelCleaner(plan, begun.about, begun.transfer_syntax)
        cut_up = [pixels[at : at + piece] for at in range(0, len(pixels), piece)]
        if cleaner.looks_first:
            for one in cut_up:
                cleaner.look(one)
        pieces = [cleaner.feed(one) for one in cut_up]
        pixels = b"".join((*pieces, cleaner.close()))
    return made.head + pixels + made.tail


def read(data: bytes) -> pydicom.Dataset:
    """What pydicom makes of a file, every value decoded."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = pydicom.dcmread(io.BytesIO(data))
        str(found)
    return found
