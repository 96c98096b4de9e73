"""What a profile's rules do beside single attributes, in words, for who checks one."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Final

from mdm_async.dicom.profile import PIXEL_RULE_ATTRIBUTES, Action, Profile, SiteRule, shown
from mdm_async.dicom.profiles.attribute_rules import OF_SITE
from mdm_async.dicom.profiles.deciding import decided
from mdm_async.dicom.profiles.patterns import Pattern
from mdm_async.dicom.profiles.precedence import plain_rules

_DOES: Final = {
    Action.REMOVE: "removes",
    Action.EMPTY: "empties",
    Action.DUMMY: "puts dummies into",
    Action.UID: "replaces the UIDs of",
    Action.KEEP: "keeps",
    Action.CLEAN: "cleans",
    Action.SHIFT: "moves the dates of",
}

_BASES: Final = {
    "ps3.15": "what the standard's table does not name stays",
    "keep-only": "nothing stays but what a file needs and what is named here",
}


def in_words(profile: Profile) -> Iterator[str]:
    """A line for each thing that the file says in a table, beside rules of single attributes."""
    yield from _of_patterns(profile.site, profile)
    for rules in profile.conditional:
        count = len(rules.site)
        yield f"of images with {rules.when}: {count} rule{'s' * (count != 1)} more"
        yield from (
            f"  {line}"
            for line in _of_patterns(
                rules.site, replace(profile, site=(*profile.site, *rules.site), conditional=())
            )
        )
    if profile.base != "basic":
        yield _BASES[profile.base]
    for tag, term in profile.terms:
        yield f"the term {term} may stand in {shown(tag)}"
    if profile.shift == "weeks":
        yield "dates are moved by whole weeks, so that weekdays stay"
    if profile.unmapped is not None:
        who = "is refused" if profile.unmapped == "refuse" else "gets a pseudonym"
        yield f"subjects and shifts are those of the project's mapping; who is not in it {who}"
    for tag, value in profile.added:
        yield f"adds {shown(tag)} with the value {value}"
    for drop in profile.drops:
        yield f"drops images with {drop.when}: {drop.because}"
    for pixel_rule in profile.pixel_rules:
        if pixel_rule.blank_outside:
            which = ", ".join(f"{PIXEL_RULE_ATTRIBUTES[tag]} {pattern}" for tag, pattern in pixel_rule.when)
            yield f"blanks what lies outside of the {pixel_rule.blank_outside} of images with {which}"
    for kind in profile.kinds:
        yield f"refuses {kind.name}, images with {kind.when}, whatever Burned In Annotation says"
    if profile.faces == "quarantine":
        yield "slices of heads wait in quarantine"
    if profile.face_hook is not None:
        yield f"slices of heads are given to the server's hook '{profile.face_hook}'"


def _of_patterns(site: Sequence[SiteRule], profile: Profile) -> Iterator[str]:
    """How many attributes each pattern decides, without those of which a more specific rule does."""
    in_force = dict(plain_rules(profile.site))
    for of, action, value in site:
        if isinstance(of, Pattern):
            mine = decided(of, action, value)
            count = sum(in_force[tag].because.startswith(f"{OF_SITE} {of}") for tag in mine)
            does = f"makes coarser ({value})" if action is Action.CLEAN and value else _DOES[action]
            yield f"{of} {does} {count} attribute{'s' * (count != 1)}"
        elif action is Action.CLEAN and value:
            yield f"{shown(of)} is made coarser: {value}"
