"""What a site may decide about an attribute: not what is said of every image, nor what no file can be read without."""

from functools import lru_cache
from typing import Final

from mdm_async.dicom.dictionary import vr_of
from mdm_async.dicom.profiles.attribute_rules import CLEANED_TEXT, GROUPS, OVERLAY_DATA, Action
from mdm_async.dicom.profiles.keywords import keyword_of
from mdm_async.dicom.profiles.patterns import Pattern
from mdm_async.dicom.scrubbing.generalising import vrs_of

_SAID: Final = frozenset({0x00120062, 0x00120063, 0x00120064, 0x00280303})
_SIGNATURES: Final = frozenset({0x4FFE0001, 0xFFFAFFFA})
_SOP_INSTANCE: Final = 0x00080018
# Character set, SOP class, and the description of the pixels (PS3.3 §C.7.6.3).
_NEEDED: Final = frozenset(
    {0x00080005, 0x00080016, 0x00280002, 0x00280004, 0x00280006, 0x00280008, 0x00280010, 0x00280011}
    | {0x00280100, 0x00280101, 0x00280102, 0x00280103}
)
_CODES: Final = frozenset(
    {0x00080100, 0x00080102, 0x00080103, 0x00080104, 0x00080119, 0x00080120, 0x0040A160, 0x0040A730}
)
"""The attributes of codes, Text Value and Content Sequence: what they hold depends on what is around them."""
_DATES: Final = (b"DA", b"DT", b"TM")

Refusal = tuple[str, str]
"""(what is wrong, what to write instead)."""


def why_undecidable(tag: int, action: Action) -> Refusal | None:
    """Why no site decides this of an attribute, whatever its VR."""
    always = None
    if not tag & 0xFFFF:
        always = "group lengths are always removed: they would be wrong"
    elif tag >> 16 in GROUPS or tag >> 16 >= 0xFFFE:
        always = "this group has no place in a data set and is always removed or made anew"
    elif tag in _SAID:
        always = "is said anew of every de-identified image"
    elif tag >> 24 == 0x7F:
        always = "is about pixels, about which [[pixels]] decides"
    elif tag in _SIGNATURES:
        always = "digital signatures are always removed: they would be wrong"
    if always:
        return always, "leave out the rule"
    if tag in _NEEDED and action is not Action.KEEP:
        return "without it the file cannot be read, so it is always kept", "leave out the rule"
    if tag == _SOP_INSTANCE and action not in (Action.KEEP, Action.UID):
        return "every image needs a UID of its own", "write U or K"
    return None


def why_unfit(tag: int, action: Action, value: str | None = None) -> Refusal | None:
    """Why an action means nothing for the attribute's VR. `value`: what is written, or how it is made coarser."""
    vr = vr_of(tag)
    if action is Action.REMOVE:
        return None
    if vr is None:
        return (
            "is not in the public dictionary, so nothing says what it holds: it can only be removed",
            "write X, or leave out the rule",
        )
    of = f"{keyword_of(tag)} ({tag >> 16:04X},{tag & 0xFFFF:04X}) has the VR {vr.decode()}"
    if action is Action.UID and vr != b"UI":
        return f"only UIDs can be replaced by UIDs; {of}", "write another action"
    if action is Action.SHIFT and vr not in _DATES:
        return f"only dates and times can be moved; {of}", "write X, Z, D or K"
    if action is Action.CLEAN and value is not None:
        vrs = vrs_of(value)
        listed = " or ".join(one.decode() for one in vrs)
        return None if vr in vrs else (f"{value!r} is said of {listed}; {of}", "write another action")
    if action is Action.CLEAN and vr != b"SQ" and vr not in CLEANED_TEXT and tag & 0xFF00FFFF != OVERLAY_DATA:
        return f"only text, sequences and overlays can be cleaned; {of}", "write X, Z, D or K"
    if action is Action.DUMMY and vr == b"UI" and value is None:
        return f"there is no dummy UID; {of}", "write U, or a value"
    return None


@lru_cache(maxsize=1024)
def decided(pattern: Pattern, action: Action, value: str | None = None) -> frozenset[int]:
    """The attributes of which a pattern decides: those that it reaches, and the action means something for.

    Of codes and content items no pattern decides, but one that names Text Value, Content Sequence or the attributes of
    codes exactly.
    """
    return frozenset(
        tag
        for tag in pattern.reach - _CODES
        if why_undecidable(tag, action) is None and why_unfit(tag, action, value) is None
    )
