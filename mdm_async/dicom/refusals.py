"""Why an image's de-identified view cannot be made: what would identify lies where scrubbing does not reach."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from mdm_async.dicom.elements import encoding_of
from mdm_async.dicom.filemeta import is_uid
from mdm_async.dicom.pixels import burned_in, faces
from mdm_async.dicom.pixels import plan as pixel_plan
from mdm_async.dicom.pixels.description import SOP_CLASS, Description, PixelFacts
from mdm_async.dicom.pixels.layout import Layout
from mdm_async.dicom.pixels.plan import PixelPlan
from mdm_async.dicom.profile import Profile
from mdm_async.dicom.profiles.kinds import known_kinds
from mdm_async.dicom.quirks import GE

_STORAGE: Final = "1.2.840.10008.5.1.4.1.1."
DOCUMENTS: Final = _STORAGE + "104."
_VOICE: Final = _STORAGE + "9.4."


@dataclass(frozen=True, slots=True)
class Reason:
    """Short, free of patient data, and with who can lift it where somebody can."""

    text: str
    liftable: bool = False
    """The profile lets a person look, and say that nothing identifies."""


def reasons(
    about: Description,
    sop_class: str | None,
    transfer_syntax: str,
    pixels: PixelFacts,
    plan: PixelPlan,
    profile: Profile,
) -> Iterator[Reason]:
    """Every reason to refuse; none when the view can be made.

    `about` holds what head and tail say, `plan` is `pixel_plan.plan` of the head alone, with or without `after`.
    """
    classes = _classes(about, sop_class)
    if not classes:
        yield Reason("the SOP class is missing")
    if not all(map(is_uid, classes)):
        yield Reason("the SOP class is no UID")
    for one in sorted(classes):
        yield from _of_payload(one, profile)
    if transfer_syntax == GE:
        yield Reason("the pixels are big endian under a private transfer syntax, of GE")
    elif about.encoding is not encoding_of(transfer_syntax):
        yield Reason("compressed pixels in implicit VR, which no transfer syntax allows")
    yield from of_picture(about, sop_class, plan, profile, pixels=pixels.present)
    if pixels.present:
        plan = plan.after(pixels)
        if pixel_plan.plan(about, sop_class, transfer_syntax, profile).after(pixels) != plan:
            yield Reason("what comes after the pixels describes them anew")
        yield from map(Reason, plan.obstacles)
        yield from _of_findings(pixels, plan)
        if not pixels.encapsulated:
            yield from _of_length(about, pixels.value_length, plan)


def of_picture(
    about: Description, sop_class: str | None, plan: PixelPlan, profile: Profile, *, pixels: bool
) -> Iterator[Reason]:
    """Why what is seen in the picture may tell who it is. `pixels`: there are any, or will be."""
    classes = _classes(about, sop_class)
    liftable = profile.burned_in == "quarantine"
    if not plan.settles_burned_in:
        yield from (Reason(text, liftable) for text in burned_in.reasons(about, classes, pixels=pixels))
    if pixels:
        kinds = (*known_kinds(), *profile.kinds)
        yield from (Reason(text, liftable) for text in burned_in.of_kinds(about, classes, plan, kinds))
    if profile.faces == "hook" and plan.hook is None and (face := face_in(about, sop_class, pixels=pixels)):
        yield Reason(f"{face}, which come without what tells the hook so at top level")
    if profile.faces == "quarantine" and (face := face_in(about, sop_class, pixels=pixels)):
        yield Reason(face, liftable=True)


def face_in(about: Description, sop_class: str | None, *, pixels: bool) -> str | None:
    """That somebody may be recognised by their face, once the slices are put together; None when nothing tells so."""
    by = faces.seen(about, _classes(about, sop_class)) if pixels else None
    return f"slices of a head, in which a face can be recognised (by {by})" if by else None


def _classes(about: Description, sop_class: str | None) -> set[str]:
    return {sop_class or "", *about.texts(SOP_CLASS)} - {""}


def _of_payload(sop_class: str, profile: Profile) -> Iterator[Reason]:
    if sop_class.startswith(DOCUMENTS) and profile.documents != "allow":
        yield Reason(
            'an encapsulated document is an identifying payload (a profile with documents = "allow" serves)',
            liftable=profile.documents == "quarantine",
        )
    if sop_class.startswith(_VOICE):
        yield Reason("a voice recording is an identifying payload")


def _of_findings(pixels: PixelFacts, plan: PixelPlan) -> Iterator[Reason]:
    if plan.decode and pixels.encapsulated:
        return  # only the decoded picture is served
    for finding in pixels.findings:
        if not plan.mends(finding):
            yield Reason(f"the pixels hold: {finding}")


def _of_length(about: Description, length: int, plan: PixelPlan) -> Iterator[Reason]:
    """Of the value of native pixels: whether it is what the description says, so that it can be cut and blanked."""
    layout = Layout.of(about)
    if layout is None:
        if length:
            yield Reason("without a description of the pixels, excess bytes cannot be told from frames")
    elif layout.subsampled and length >= layout.in_full > layout.total:
        yield Reason("the pixels are longer than their photometric interpretation makes them")
    elif plan.regions and length < layout.total:
        yield Reason("regions of the pixels cannot be blanked: there are fewer than described")
    elif plan.regions and length - layout.total >= layout.frame_bits // 8:
        yield Reason("regions of the pixels cannot be blanked: there are more than described")
