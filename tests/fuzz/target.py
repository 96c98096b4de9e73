"""What must hold of any bytes whatever, for hypothesis and atheris alike."""

from functools import cache

from mdm_async.dicom.identifiers import identifying_values
from mdm_async.dicom.profile import OPTIONS, PixelRule, Profile, Region, basic
from mdm_async.errors import MdmError, ScrubRefused
from tests.pipeline import cut, deidentified, plan_of

GROWTH = 30
"""How many bytes one byte may become: a UID of one digit becomes one of 44."""
_ADDED = 4000
"""Bytes of what is said of every scrubbed file."""


@cache
def profiles() -> dict[str, Profile]:
    """One without options, one with all, one that has something to do with every picture."""
    full, modified = "retain_longitudinal_full_dates", "retain_longitudinal_modified_dates"
    everything = (PixelRule(((0x00280010, "*"),), (Region(0, 0, 9, 3), Region(5, 5, 1000, 1000))),)
    return {
        "basic": basic(),
        "full": Profile("full", options=frozenset(OPTIONS) - {modified}, documents="allow"),
        "modified": Profile("modified", options=frozenset(OPTIONS) - {full}, burned_in="quarantine"),
        "blanked": Profile("blanked", pixel_rules=everything),
    }


def check(data: bytes, profile: Profile, *, force: bool = False) -> None:
    """A named error, or a sound file of bounded size; the same again with force, where it would let the file in."""
    try:
        parts = cut(data, force=force)
    except MdmError:
        if not force:
            check(data, profile, force=True)
        return
    try:
        identifying_values(parts.head)
        made = deidentified(data, profile, force=force)
    except (MdmError, ScrubRefused):
        return
    size = len(parts.head) + len(parts.pixels) + len(parts.tail)
    if not plan_of(parts, profile).decode:  # what is decoded is as large as the picture is
        assert len(made) <= GROWTH * size + _ADDED, (len(made), size)
    again = cut(made)  # what was written can be walked
    assert bool(again.pixels) == bool(parts.pixels)
