"""[add] of profile files: attributes that every view of the profile gets, with values of the curator's own."""

from typing import Final

from mdm_async.dicom.dictionary import vr_of
from mdm_async.dicom.mapping import LONGEST_SUBJECT, SUBJECT
from mdm_async.dicom.profile import Action
from mdm_async.dicom.profiles.deciding import why_undecidable
from mdm_async.dicom.profiles.keywords import keyword_of
from mdm_async.dicom.profiles.site import in_table, public_tag, wrong
from mdm_async.dicom.profiles.written import may_be_written, what_is_legal

Added = tuple[int, str]
"""(attribute, value)."""

_SEEN: Final = frozenset({0x00280301, 0x00280302})
"""Burned In Annotation and Recognizable Visual Features."""
_EXAMPLE: Final = 'write [add] and below it lines as ClinicalTrialProtocolID = "TRIAL-1"'


def added(said: object, ruled: frozenset[object], *, maps: bool) -> tuple[Added, ...]:
    """The lines of [add], in ascending order. `ruled`: what rules name exactly, which cannot be added too; `maps`:
    whether the profile uses its project's mapping.

    Raises BadRequest for what is said anew of every image, for what has no single value in text, and for values that
    are not legal.
    """
    if not isinstance(said, dict):
        raise wrong("add", "is no table", _EXAMPLE)
    found: dict[int, str] = {}
    for key, value in said.items():
        where = in_table("add", key)
        tag = public_tag(where, key)
        _demand_addable(where, tag)
        if tag in found:
            raise wrong(where, "is added already", "leave one out")
        if tag in ruled:
            raise wrong(where, "there is a rule for this attribute too", "leave one out")
        vr = vr_of(tag) or b"UN"
        if not isinstance(value, str):
            raise wrong(where, "is no text", "write the value between quotes, numbers too")
        if SUBJECT in value and not maps:
            raise wrong(where, f"{SUBJECT} is of a mapping, and none is used", 'write unmapped = "refuse"')
        if set("{}") & set(value.replace(SUBJECT, "")):
            raise wrong(where, "names a field that does not exist", f"the only one is {SUBJECT}")
        if not may_be_written(vr, value.replace(SUBJECT, "x" * LONGEST_SUBJECT)):
            of = f"{keyword_of(tag)} has the VR {vr.decode()}"
            raise wrong(where, f"is not legal; {of}", f"write {what_is_legal(vr)}")
        found[tag] = value
    return tuple(sorted(found.items()))


def _demand_addable(where: str, tag: int) -> None:
    if refusal := why_undecidable(tag, Action.DUMMY):
        raise wrong(where, refusal[0], "leave it out")
    if tag >> 24 in (0x50, 0x60):
        raise wrong(where, "is part of a curve or an overlay", "leave it out")
    if tag in _SEEN:
        raise wrong(where, "says what was seen of the pixels", "leave it out")
    vr = vr_of(tag)
    if vr == b"UI":
        raise wrong(where, "one UID for all images would make them one", "leave it out")
    if vr is None or not what_is_legal(vr):
        raise wrong(where, "has no single value that can be written as text", "leave it out")
