"""What a site's rules let through that the standard takes away, in words."""

from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from mdm_async.dicom.mapping import SUBJECT
from mdm_async.dicom.profiles.attribute_rules import Action, retained_by
from mdm_async.dicom.profiles.deciding import decided
from mdm_async.dicom.profiles.keywords import keyword_of
from mdm_async.dicom.profiles.patterns import Pattern
from mdm_async.dicom.profiles.precedence import SiteRule
from mdm_async.dicom.profiles.safe_private import PrivateKey, can_be_kept, safe_private

if TYPE_CHECKING:
    from mdm_async.dicom.profile import Profile

_NAMED: Final = 3
_CLINICAL_TRIAL: Final = 0x0012
_AGE, _BIRTH_DATE, _STUDY_DATE = 0x00101010, 0x00100030, 0x00080020


def lets_through(profile: "Profile", basic: "Profile") -> Iterator[str]:
    """A line for each rule that keeps what identifies, of a pattern with how much that is."""
    for rule in profile.site:
        yield from _of_rule(rule, profile, basic)
    yield from _added(profile, basic)
    yield from _ages(profile)
    if profile.base == "ps3.15":
        yield "keeps what the standard's table does not name, free text and identifiers among it"
    for rules in profile.conditional:
        given = replace(profile, site=(*profile.site, *rules.site), conditional=())
        for rule in rules.site:
            yield from (f"{said} (of images with {rules.when})" for said in _of_rule(rule, given, basic))


def shown(of: int | PrivateKey | Pattern) -> str:
    """An attribute for people: "PatientName (0010,0010)", "(0019,xx10) of ACME 1.1"; a pattern as it is written."""
    if isinstance(of, Pattern):
        return str(of)
    if isinstance(of, int):
        return f"{keyword_of(of)} ({of >> 16:04X},{of & 0xFFFF:04X})".lstrip()
    return f"({of.group:04X},xx{of.element:02X}) of {of.creator}"


def _of_rule(rule: SiteRule, profile: "Profile", basic: "Profile") -> Iterator[str]:
    of, action, _ = rule
    if action is not Action.KEEP:
        return
    if isinstance(of, PrivateKey):
        if of not in safe_private():
            yield f"keeps {shown(of)}, which the standard does not list as safe"
        elif not can_be_kept(safe_private()[of]):
            yield f"keeps {shown(of)}, bytes into which nobody can look"
    elif isinstance(of, Pattern):
        kept = [tag for tag in sorted(decided(of, action)) if profile.rule(tag).action is Action.KEEP]
        identifying = [keyword_of(tag) for tag in kept if _identifies(tag, profile, basic)]
        if identifying:
            some = ", ".join(identifying[:_NAMED]) + (", …" if len(identifying) > _NAMED else "")
            yield f"{of} keeps {len(kept)} attributes, of which {len(identifying)} identify: {some}"
    elif _identifies(of, profile, basic):
        options = retained_by(of)
        unless = f" unless under {' or '.join(options)}" if options else ""
        yield f"keeps {shown(of)}, which identifies{unless}"


def _added(profile: "Profile", basic: "Profile") -> Iterator[str]:
    """What [add] writes into attributes that identify, but for those of clinical trials: they are the project's own."""
    for tag, value in profile.added:
        if tag >> 16 != _CLINICAL_TRIAL and value != SUBJECT and _identifies(tag, profile, basic):
            yield f"adds {shown(tag)}, which identifies: whatever it says is in every image"


def _ages(profile: "Profile") -> Iterator[str]:
    """What tells an age that the profile makes coarser, and the birth years of the very old."""
    age, birth, study = (profile.rule(tag) for tag in (_AGE, _BIRTH_DATE, _STUDY_DATE))
    left = (Action.KEEP, Action.SHIFT)
    if age.action is Action.CLEAN and age.value and birth.action in left and study.action in left:
        yield "makes PatientAge coarser, which PatientBirthDate and StudyDate tell all the same"
    if birth.action is Action.CLEAN and birth.value:
        yield "keeps the year of PatientBirthDate, which tells ages over 89"


def _identifies(tag: int, profile: "Profile", basic: "Profile") -> bool:
    """Whether the basic profile takes it away, and no option of this profile keeps it."""
    return basic.rule(tag).action is not Action.KEEP and not profile.options.intersection(retained_by(tag))
