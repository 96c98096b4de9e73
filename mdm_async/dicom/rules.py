"""What scrubbing does with one element, from its tag, its VR, the profile and the public dictionary."""

from enum import Enum, auto
from typing import Final

from mdm_async.dicom.dictionary import vr_of
from mdm_async.dicom.elements import PIXEL_TAGS
from mdm_async.dicom.profile import Action, Profile


class Step(Enum):
    """What happens to an element's bytes."""

    COPY = auto()
    DROP = auto()
    ENTER = auto()
    """A sequence: copied with each item's data set scrubbed."""
    UID = auto()
    IDENTIFIER = auto()
    NAME = auto()
    EMPTY = auto()
    DUMMY = auto()


IDENTIFIERS: Final = {0x00100020: "patient", 0x00080050: "accession", 0x00200010: "study"}
"""Patient ID, Accession Number, Study ID: a pseudonym keeps files of one patient, order, study together."""

PATIENT_NAME: Final = 0x00100010

ADDED: Final = frozenset({0x00120062, 0x00120063, 0x00120064, 0x00280303})
"""Said anew of every scrubbed file, so never copied."""


def step_for(tag: int, vr: bytes, profile: Profile) -> tuple[Step, bytes]:
    """(what to do, the VR to write or to go by) for an element of this tag and written VR (b"" in implicit VR).

    Dropped whatever the profile says: group lengths (they would be wrong); pixels elsewhere than where the file was
    split (nobody has looked at them), also in the retired groups 7Fxx; elements that neither the profile nor the
    public dictionary knows, since nothing says what they hold; and sequences written as something else than one,
    into which one cannot look.
    """
    group = tag >> 16
    if (
        not tag & 0xFFFF
        or tag in ADDED
        or tag in PIXEL_TAGS
        or (group & 0xFF00 == 0x7F00 and group != 0x7FE0)
    ):
        return Step.DROP, vr
    action = profile.action(tag)
    known = vr_of(tag)
    if action is Action.REMOVE or (known is None and not profile.names(tag)):
        return Step.DROP, vr
    if known == b"SQ" and vr not in (b"", b"UN", b"SQ"):
        return Step.DROP, vr
    effective = (known or b"UN") if vr in (b"", b"UN") else vr
    if action is Action.KEEP:
        return (Step.ENTER, vr) if effective == b"SQ" else (Step.COPY, vr)
    if action is Action.UID:
        return (Step.ENTER, vr) if effective == b"SQ" else (Step.UID, b"UI")
    # A pseudonym is text: whatever VR was written, it is written with the one that is due.
    if tag in IDENTIFIERS:
        return Step.IDENTIFIER, known or effective
    if tag == PATIENT_NAME:
        return Step.NAME, known or effective
    return (Step.EMPTY if action is Action.EMPTY else Step.DUMMY), effective
