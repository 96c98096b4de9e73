"""What may be left of a planted marker under a profile's options, by an own reading of PS3.15 Table E.1-1."""

from collections.abc import Collection
from enum import Enum
from functools import cache

from pydicom.datadict import dictionary_has_tag, repeater_has_tag

from tests.canary_planter import table
from tests.canary_values import BULK, Marker

OPTIONS = tuple(next(iter(table().values())))[5:]
"""The columns after Basic Profile: the options."""
FULL_DATES, MODIFIED_DATES = "retain_longitudinal_full_dates", "retain_longitudinal_modified_dates"
SAFE_PRIVATE = {("Philips PET Private Group", 0x7053, 0x00)}
"""What the safe private list (PS3.15 Table E.3.10-1) has of what is planted: creator, group, element in the block."""

_UNKNOWN = {0x00081234, 0x00109999, 0x7F000010, 0x00080000, 0x00100000, 0x4FFE0001, 0x00420010}
"""Unknown to the standard, group lengths, pixels in retired groups; and what DEID names beside the table."""
TEXTS = {"LO", "SH", "ST", "LT", "UT", "UC", "PN", "UR", "AE", "AS"}
REFERENCE = {0x00081150, 0x00081155, 0x00081160}
"""What a reference to an image is made of: class, instance, frames."""
CODES = {0x00080100, 0x00080102, 0x00080103, 0x00080104, 0x00080119, 0x00080120}
"""Parts of codes: no marker is a published code."""


class Fate(Enum):
    """What may come of a marker."""

    GONE = "gone"
    KEPT = "kept"
    EITHER = "either"
    """Kept where it can be told that it is no text."""


def fate(marker: Marker, options: Collection[str]) -> Fate:
    """Whether the marker may, must or must not be in what comes out."""
    if not marker.path or marker.path[-1] >> 16 == 2:
        return Fate.GONE
    cleaned = False
    unsure = any(map(newer_than_the_dictionary, marker.path))
    for tag in marker.path[:-1]:
        code = _code(tag, "SQ", options)
        if tag & 0x10000 or code not in ("K", "U", "C"):
            return Fate.GONE
        cleaned |= code == "C"
    tag = marker.path[-1]
    if tag & 0x10000:
        key = (marker.creator, tag >> 16, tag & 0xFF)
        safe = "retain_safe_private" in options and key in SAFE_PRIVATE
        return (Fate.EITHER if cleaned else Fate.KEPT) if safe else Fate.GONE
    code = _code(tag, marker.vr, options)
    around = table_row(marker.path[-2]) if len(marker.path) > 1 else None
    if around is not None and around["basic"] == "X/Z/U*" and tag not in REFERENCE:
        return Fate.GONE
    if code == "K" and (tag in CODES or marker.vr == "US"):
        # A marker is four numbers, where all of these attributes have one.
        return Fate.GONE
    if code == "K" and marker.vr == "CS":
        # No marker is a term that the standard has, or made of known words.
        return Fate.GONE
    if code == "K" and cleaned:
        # The numbers and days of a report tell no name; its words may.
        return Fate.EITHER if marker.vr in ("DS", "IS", "DA", "DT", "TM", "UI", "US", "AS") else Fate.GONE
    if code == "K":
        return Fate.EITHER if unsure else Fate.KEPT
    if code == "S" and marker.vr == "TM":
        return Fate.EITHER if cleaned or unsure else Fate.KEPT
    if code == "C" and _is_graphics(tag) and marker.vr in BULK:
        return Fate.EITHER
    return Fate.GONE


def _code(tag: int, vr: str, options: Collection[str]) -> str:
    """X (or whatever else leaves nothing), U, K, C, or S for dates and times that are moved."""
    if tag in _UNKNOWN or tag >> 16 in (0, 4) or (_is_graphics(tag) and _printed(tag) not in table()):
        return "C" if _is_graphics(tag) and "clean_graphics" in options else "X"
    row = table_row(tag)
    if row is None:
        # Text that the table does not name is denied, or has to pass a vocabulary, which no marker does.
        return "X" if vr in TEXTS else "K"
    chosen = {option: row[option] for option in options if row[option]}
    if chosen.get(MODIFIED_DATES):
        del chosen[MODIFIED_DATES]
        if vr in ("DA", "DT", "TM"):
            return "S"
        if vr == "SQ":
            return "C"
    if "C" in chosen.values():
        return "C"
    return "K" if chosen else row["basic"].replace("X/Z/U*", "U")


@cache
def table_row(tag: int) -> dict[str, str] | None:
    return table().get(_printed(tag))


def _printed(tag: int) -> str:
    if tag >> 24 == 0x50:
        return "(50xx,xxxx)"
    return f"(60xx,{tag & 0xFFFF:04X})" if tag >> 24 == 0x60 else f"({tag >> 16:04X},{tag & 0xFFFF:04X})"


def _is_graphics(tag: int) -> bool:
    return tag >> 24 in (0x50, 0x60)


@cache
def newer_than_the_dictionary(tag: int) -> bool:
    """Whether pydicom's dictionary does not know it: its VR is not known in implicit VR."""
    return not dictionary_has_tag(tag) and not repeater_has_tag(tag)
