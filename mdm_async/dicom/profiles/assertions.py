"""What a file may say of itself once the rules in force have been followed (PS3.15 §E.1, §E.3.6), so that it is so."""

from functools import lru_cache
from typing import TYPE_CHECKING, Final

from mdm_async.dicom.dictionary import vr_of
from mdm_async.dicom.profiles.attribute_rules import Action, retained_by

if TYPE_CHECKING:
    from mdm_async.dicom.profile import Profile

IDENTITY: Final = frozenset(
    # The patient's name, numbers, birth, mother, address, telephone and photograph.
    {0x00100010, 0x00100020, 0x00100021, 0x00100030, 0x00100032, 0x00101000, 0x00101001, 0x00101002}
    | {0x00101005, 0x00101040, 0x00101060, 0x00101090, 0x00101100, 0x00102154, 0x00102155, 0x00102297}
    # Numbers that hospitals keep beside a patient's name: of an order, of a stay.
    | {0x00080050, 0x00380010, 0x00402016, 0x00402017}
)
"""What says who a patient is."""


@lru_cache(maxsize=64)
def identity_kept(profile: "Profile") -> bool:
    """Whether a rule keeps something that says who the patient is."""
    return any(profile.rule(tag).action is Action.KEEP for tag in IDENTITY)


@lru_cache(maxsize=64)
def falls_short_of(profile: "Profile", basic: "Profile") -> bool:
    """Whether the site's rules keep what the basic profile takes away: then it is not what has been applied."""
    return any(
        rule.action is Action.KEEP
        and rule.of_site
        and basic.rule(tag).action is not Action.KEEP
        and not profile.options.intersection(retained_by(tag))
        for tag, rule in profile.public.items()
    )


@lru_cache(maxsize=64)
def date_kept(profile: "Profile") -> bool:
    """Whether the site's rules keep a date as it is."""
    return any(
        rule.action is Action.KEEP and rule.of_site and vr_of(tag) in (b"DA", b"DT")
        for tag, rule in profile.public.items()
    )
