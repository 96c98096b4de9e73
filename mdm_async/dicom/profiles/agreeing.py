"""Whether the parts of a profile agree: what one part asks for must not undo or give away what another does."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Final

from mdm_async.dicom.dictionary import vr_of
from mdm_async.dicom.profile import Action, Profile, shown
from mdm_async.dicom.profiles.keywords import keyword_of
from mdm_async.dicom.profiles.precedence import plain_rules
from mdm_async.dicom.profiles.safe_private import safe_private
from mdm_async.dicom.profiles.site import wrong

_MOVES: Final = "retain_longitudinal_modified_dates"
_PATIENT_ID: Final = 0x00100020
_NAME: Final = 0x00100010
_PSEUDONYMOUS: Final = (Action.EMPTY, Action.DUMMY)
_DATES: Final = (b"DA", b"DT")


def demand_consistent(profile: Profile) -> None:
    """Raises BadRequest."""
    cases = list(_cases(profile))
    # One image's real date tells by how much the dates of another of the same patient, of the same day, are moved.
    moves = any(_MOVES in each.options or _shifts(each) for each in cases)
    if profile.shift == "weeks" and not moves:
        raise wrong("shift", "no dates are moved", f'write options = ["{_MOVES}"], or a rule with "S"')
    for each in cases:
        if moves and (told := next(_told_dates(each), None)):
            raise wrong(
                "attributes",
                f"{told} tells a real date beside dates that are moved, and so by how much they are",
                'move it too ("S"), or leave out the rule',
            )
        if profile.unmapped and each.rule(_PATIENT_ID).action is Action.KEEP:
            raise wrong(
                "unmapped",
                f"{keyword_of(_PATIENT_ID)} is kept, so that the mapping would tell who the subjects are",
                'leave out the rule that keeps it, or "unmapped"',
            )
        if each.rule(_PATIENT_ID).action is Action.KEEP and each.rule(_NAME).action in _PSEUDONYMOUS:
            raise wrong(
                "attributes",
                f"{keyword_of(_PATIENT_ID)} is kept beside {keyword_of(_NAME)}, which becomes its pseudonym:"
                " that would tell whose every other pseudonym is",
                'write PatientName = "X", or leave out the rule that keeps the ID',
            )


def _cases(profile: Profile) -> Iterator[Profile]:
    """The profile without its conditions, and with the rules of each as if it held."""
    yield profile
    for rules in profile.conditional:
        yield replace(profile, site=(*profile.site, *rules.site), conditional=())


def _shifts(profile: Profile) -> bool:
    return any(action is Action.SHIFT for _, action, _ in profile.site)


def _told_dates(profile: Profile) -> Iterator[str]:
    """Dates of which a rule, the site's or an option's, leaves something that is not moved."""
    for of, rule in plain_rules(profile.site):
        if rule.action is Action.KEEP or (rule.action is Action.CLEAN and rule.value is not None):
            vr = vr_of(of) if isinstance(of, int) else safe_private().get(of)
            in_force = profile.rule(of) if isinstance(of, int) else rule
            if vr in _DATES and in_force == rule:
                yield shown(of)
    for tag, rule in profile.public.items():
        if rule.action is Action.KEEP and vr_of(tag) in _DATES:
            yield f"{shown(tag)} ({rule.because})"
