"""Apply a profile to a file's head and tail: `begin` while the pixels still stream in, `finish` once they are known."""

import copy
from dataclasses import dataclass, field
from typing import Final

from mdm_async.dicom import encode
from mdm_async.dicom.dictionary import vr_of
from mdm_async.dicom.elements import DEFLATED, Encoding
from mdm_async.dicom.filemeta import read_meta, uid_text
from mdm_async.dicom.issuers import issued, issuer_of
from mdm_async.dicom.mapping import SUBJECT, Subject
from mdm_async.dicom.pixels import plan as pixel_plan
from mdm_async.dicom.pixels.description import EXTENDED_TABLE, RECOGNIZABLE, Description, PixelFacts
from mdm_async.dicom.pixels.inspector import LOOKED_INTO
from mdm_async.dicom.pixels.plain_frames import DEFLATED_FRAMES
from mdm_async.dicom.pixels.plan import PixelEdits
from mdm_async.dicom.profile import Action, Profile
from mdm_async.dicom.pseudonym import Pseudonyms
from mdm_async.dicom.quirks import EXPLICIT_SYNTAX, GE, IMPLICIT_SYNTAX
from mdm_async.dicom.refusals import DOCUMENTS, face_in, reasons
from mdm_async.dicom.scrubbing import counts
from mdm_async.dicom.scrubbing.believed import are_of_the_standard
from mdm_async.dicom.scrubbing.code_items import CodeItems
from mdm_async.dicom.scrubbing.copier import Copier, Done
from mdm_async.dicom.scrubbing.counts import Touched
from mdm_async.dicom.scrubbing.patient import Patient
from mdm_async.dicom.scrubbing.readings import readings
from mdm_async.dicom.scrubbing.replacing import Replacing
from mdm_async.dicom.scrubbing.step import SOP_INSTANCE
from mdm_async.dicom.scrubbing.step_book import book_of
from mdm_async.dicom.scrubbing.steps import BURNED_IN, IDENTIFIERS, PATIENT_ID, TOP
from mdm_async.dicom.scrubbing.words import Words
from mdm_async.errors import ScrubRefused

__all__ = [
    "REVISION",
    "SECURITY_FLOOR",
    "Begun",
    "Done",
    "PixelFacts",
    "Scrubbed",
    "Touched",
    "begin",
    "finish",
    "scrub",
]

REVISION: int = 3
"""Goes up with every change of what comes out; the version of a view is (profile digest, revision)."""
SECURITY_FLOOR: int = 3
"""Views that an older revision made are not served: they may hold what should not be in them."""

_METHOD_CODES: Final = 0x00120064
_SOP_CLASS: Final = 0x00080016
_CLEAN_FEATURES: Final = ("113102", "Clean Recognizable Visual Features Option")
_CLEAN_PIXELS: Final = ("113101", "Clean Pixel Data Option")


@dataclass(frozen=True, repr=False)
class Begun:
    """What the head gave; only `finish` makes of it what may be served."""

    profile: Profile
    """With the conditional rules that hold for this image, and no others."""
    head: bytes
    """Without the codes of what was done and without Burned In Annotation, which depend on the pixels."""
    about: Description
    sop_class: str | None
    transfer_syntax: str
    """Of the original."""
    codes_at: int
    burned_in_at: int
    """Where the two belong in `head`."""
    burned_in: bytes
    """The element of the original, encoded as the profile has it; empty when there is none."""
    extended_table: bytes
    """The elements that tell where fragments begin, encoded as the profile has them; they come last in a head."""
    patient: bytes
    """The subject or pseudonym."""
    patient_id: bytes
    """The original."""
    issuer: str
    """Who has issued it; "" where that does not count."""
    days: int
    refused: tuple[str, ...]
    touched: counts.Counts


@dataclass(frozen=True)
class Scrubbed:
    """What goes before and after the pixels, and what was done."""

    head: bytes = field(repr=False)
    tail: bytes = field(repr=False)
    touched: tuple[Touched, ...]
    """What was removed or changed."""
    stayed: tuple[Touched, ...]
    """What was kept, of sequences the containers too: by a rule that names it, or because none does."""
    warnings: tuple[str, ...] = ()
    """What the profile does not take away and may still show who it is: in words, free of patient data."""


def scrub(
    head: bytes, tail: bytes, *, profile: Profile, key: bytes, pixels: PixelFacts, released: bool = False
) -> Scrubbed:
    """De-identify what `part10` found before and after the pixels.

    `head` is preamble, meta and elements, `tail` elements; of a deflated file the inflated ones, and what comes out is
    Explicit VR Little Endian. The same input, profile, key and REVISION give the same bytes. Attributes that neither
    the profile nor the public dictionary knows are removed.

    Raises ScrubRefused when something identifying lies where this does not reach, Malformed when lengths do not fit.
    """
    begun = begin(head, profile=profile, key=key)
    return finish(begun, tail, profile=profile, key=key, pixels=pixels, released=released)


def begin(
    head: bytes,
    *,
    profile: Profile,
    key: bytes,
    edits: PixelEdits | None = None,
    subject: Subject | None = None,
    done: Done | None = None,
    issued_by: str | None = None,
) -> Begun:
    """De-identify the head. `edits`: the pixels are decoded, so that they are described anew. Raises Malformed.

    `subject`: who the patient is in the project's mapping. `issued_by`: as of `issuer_of`. `done` is filled with what
    is done at which offset of the head.
    """
    meta = read_meta(head)
    transfer_syntax = meta.transfer_syntax
    encoding = meta.encoding
    pseudonyms = Pseudonyms(key)
    read = readings(head, meta.end, encoding, profile)
    refused = [f"the profile drops it: {because}" for because in profile.dropped(read)]
    profile = profile.given(read)
    book = book_of(profile)
    table = book.table(encoding, TOP)
    patient = Patient.of(head, meta.end, table)
    issuer = issuer_of(head, issued_by)
    pseudonym, days = _who_and_days(patient, issuer, subject, pseudonyms, profile)
    words = Words.of(head, meta.end, table) if _cleans_text(profile) else None

    edited = [
        (tag, encode.element(tag, vr_of(tag) or b"UN", value, encoding))
        for tag, value in (*(edits.values if edits else ()), *_features(head, profile))
    ]
    added = [
        (tag, encode.element(tag, vr_of(tag) or b"UN", value.encode(), encoding))
        for tag, value in _added_to(profile, pseudonym.decode())
    ]
    additions = sorted(_additions(profile, encoding, meta.sop_class or "") + edited + added)
    replaced = frozenset(tag for tag, _ in edited + added)
    replacing = Replacing(pseudonyms, pseudonym, days, words, patient_id=patient.id, issuer=issuer)
    code_items = CodeItems(pseudonyms, words)
    copier = Copier(
        head, encoding, book, replacing, code_items, Description(encoding), additions, replaced, done
    )
    copier.top_level(meta.end)

    about = copier.about
    instance = copier.instance or (meta.sop_instance or "").encode()
    if copier.pixels_seen:
        refused.append(_MORE_PIXELS)
    if not instance:
        refused.append("the SOP Instance UID is missing")
    kept = profile.rule(SOP_INSTANCE).action is Action.KEEP
    start = encode.preamble_and_meta(
        sop_class=pseudonyms.uid_value(
            (meta.sop_class or uid_text(about.values.get(_SOP_CLASS, b""))).encode()
        ),
        sop_instance=uid_text(instance).encode() if kept else pseudonyms.uid_value(instance),
        transfer_syntax=_served_as(edits.transfer_syntax if edits else transfer_syntax, encoding),
    )
    return Begun(
        profile=profile,
        head=start + copier.out,
        about=about,
        sop_class=meta.sop_class,
        transfer_syntax=transfer_syntax,
        codes_at=len(start) + copier.places[_METHOD_CODES],
        burned_in_at=len(start) + copier.places[BURNED_IN],
        burned_in=copier.burned_in,
        extended_table=copier.extended_table if _keeps_extended_table(profile) else b"",
        patient=pseudonym,
        patient_id=patient.id,
        issuer=issuer,
        days=days,
        refused=tuple(refused),
        touched=counts.counted(copier.touched),
    )


def finish(
    begun: Begun,
    tail: bytes,
    *,
    profile: Profile,
    key: bytes,
    pixels: PixelFacts,
    released: bool = False,
    done: Done | None = None,
) -> Scrubbed:
    """De-identify the tail, and put it all together, now that the pixels have been seen.

    `released`: a person who may has looked at the pixels, and has seen nothing burned in that identifies. `done` is
    filled with what is done at which offset of the tail.

    Raises ScrubRefused with every reason why the view cannot be made, Malformed.
    """
    about = begun.about
    encoding = about.encoding
    plan = pixel_plan.plan(about, begun.sop_class, begun.transfer_syntax, profile).after(pixels)
    refused, burned_in, after, touched = list(begun.refused), begun.burned_in, b"", begun.touched
    if tail:
        # Whose words would be known to be harmless is not known any more: text that comes after pixels goes.
        pseudonyms = Pseudonyms(key)
        replacing = Replacing(
            pseudonyms, begun.patient, begun.days, None, patient_id=begun.patient_id, issuer=begun.issuer
        )
        about = copy.deepcopy(about)
        if readings(tail, 0, encoding, profile):
            refused.append("what comes after the pixels is asked for by the profile's conditions")
        code_items = CodeItems(pseudonyms, None)
        added = frozenset(tag for tag, _ in profile.added)
        copier = Copier(tail, encoding, book_of(begun.profile), replacing, code_items, about, [], added, done)
        copier.top_level(0)
        after, burned_in = bytes(copier.out), burned_in + copier.burned_in
        touched = counts.added(touched, counts.counted(copier.touched))
        if copier.pixels_seen:
            refused.append(_MORE_PIXELS)
    found = list(dict.fromkeys(reasons(about, begun.sop_class, begun.transfer_syntax, pixels, plan, profile)))
    open_reasons = [one for one in found if not (one.liftable and released)]
    if refused or open_reasons:
        texts = dict.fromkeys([one.text for one in open_reasons] + refused)
        liftable = not refused and all(one.liftable for one in open_reasons)
        raise ScrubRefused("; ".join(texts), quarantined=liftable)
    codes = begun.profile.codes()
    if pixels.present and plan.hook:
        codes = tuple(sorted((*codes, _CLEAN_FEATURES)))
    if pixels.present and plan.regions:
        # Wiping comments alone says nothing about what is burned in.
        codes = tuple(sorted((*codes, _CLEAN_PIXELS)))
        burned_in = encode.element(BURNED_IN, b"CS", b"NO", encoding)  # PS3.15 §E.3.1
    view = memoryview(begun.head)
    head = b"".join(
        (
            view[: begun.codes_at],
            _method_codes(codes, encoding),
            view[begun.codes_at : begun.burned_in_at],
            burned_in,
            view[begun.burned_in_at :],
            begun.extended_table if plan.extended_table else b"",
        )
    )
    face = None if plan.hook else face_in(about, begun.sop_class, pixels=pixels.present)
    warnings = (face,) if face else ()
    return Scrubbed(head, after, counts.went(touched), counts.stayed(touched), warnings)


_MORE_PIXELS: Final = "there are pixels beside those that the file was split at"


def _added_to(profile: Profile, subject: str) -> list[tuple[int, str]]:
    """What the profile adds to the images of a subject; to those of nobody no subject."""
    return [
        (tag, value.replace(SUBJECT, subject))
        for tag, value in profile.added
        if subject or SUBJECT not in value
    ]


def _who_and_days(
    patient: Patient, issuer: str, subject: Subject | None, pseudonyms: Pseudonyms, profile: Profile
) -> tuple[bytes, int]:
    """What the patient is called, and by how many days dates are moved into the past."""
    patient_id = issued(patient.id, issuer)
    days = pseudonyms.days(patient_id, patient.name, patient.birth_date, patient.study)
    if profile.shift == "weeks":
        days -= days % 7
    if subject is None:
        return pseudonyms.identifier(IDENTIFIERS[PATIENT_ID], patient_id), days
    return subject.name.encode(), days if subject.shift_days is None else -subject.shift_days


def _features(head: bytes, profile: Profile) -> list[tuple[int, bytes]]:
    """What is said of faces, where a hook takes them away."""
    hooked = profile.face_hook and pixel_plan.plan(*pixel_plan.describe(head), profile).hook
    return [(RECOGNIZABLE, b"NO")] if hooked else []


def _cleans_text(profile: Profile) -> bool:
    """Whether any text could be kept for its words."""
    cleaning = (option.startswith("clean_") or option == "retain_safe_private" for option in profile.options)
    return any(cleaning) or any(action is Action.CLEAN and value is None for _, action, value in profile.site)


def _keeps_extended_table(profile: Profile) -> bool:
    """All of it or nothing: offsets without lengths are no table."""
    return all(profile.rule(tag).action is Action.KEEP for tag in EXTENDED_TABLE)


def _served_as(transfer_syntax: str, encoding: Encoding) -> bytes:
    """What is inflated is said to be so; a private syntax, which could say anything, is called what it was read as.

    Pixels under such a one are refused.
    """
    # Deflated frames and JPEG XL are younger than the list of UIDs.
    private = transfer_syntax not in {GE, DEFLATED_FRAMES, *LOOKED_INTO} and not are_of_the_standard(
        transfer_syntax.encode()
    )
    if transfer_syntax == DEFLATED or private:
        return (EXPLICIT_SYNTAX if encoding.explicit else IMPLICIT_SYNTAX).encode()
    return transfer_syntax.encode()


def _additions(profile: Profile, encoding: Encoding, sop_class: str) -> list[tuple[int, bytes]]:
    """What is said of every scrubbed file (PS3.15 §E.3, §E.3.6): (tag, encoded element), for two only the place."""
    method = f"mdm_async {REVISION}, PS3.15 {profile.edition}\\{profile.name}"
    payload = profile.documents == "allow" and sop_class.startswith(DOCUMENTS)
    removed = profile.identity_removed and not payload
    if not removed:
        method += "\\identity kept by rule"
    dates = profile.dates.encode()
    said = (
        (0x00120062, b"CS", b"YES" if removed else b"NO"),
        (0x00120063, b"LO", method.encode()),
        (0x00280303, b"CS", dates),
    )
    return [
        *((tag, encode.element(tag, vr, value, encoding)) for tag, vr, value in said),
        (_METHOD_CODES, b""),
        (BURNED_IN, b""),
    ]


def _method_codes(codes: tuple[tuple[str, str], ...], encoding: Encoding) -> bytes:
    """De-identification Method Code Sequence, of PS3.16 CID 7050; nothing without a code."""
    if not codes:
        return b""
    items = b"".join(
        encode.code(value.encode(), b"DCM", meaning.encode(), encoding) for value, meaning in codes
    )
    return encode.element(_METHOD_CODES, b"SQ", items, encoding)
