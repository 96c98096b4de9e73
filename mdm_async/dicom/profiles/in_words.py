"""What a profile's rules do beside single attributes, in words, for who checks one."""

from collections.abc import Iterator, Sequence
from typing import Final

from mdm_async.dicom.profile import Action, Profile, SiteRule, shown
from mdm_async.dicom.profiles.deciding import decided
from mdm_async.dicom.profiles.patterns import Pattern

_DOES: Final = {
    Action.REMOVE: "removes",
    Action.EMPTY: "empties",
    Action.DUMMY: "puts dummies into",
    Action.UID: "replaces the UIDs of",
    Action.KEEP: "keeps",
    Action.CLEAN: "cleans",
    Action.SHIFT: "moves the dates of",
}


def in_words(profile: Profile) -> Iterator[str]:
    """A line for each thing that the file says in a table, beside rules of single attributes."""
    yield from _of_patterns(profile.site)
    for rules in profile.conditional:
        count = len(rules.site)
        yield f"of images with {rules.when}: {count} rule{'s' * (count > 1)} more"
        yield from (f"  {line}" for line in _of_patterns(rules.site))
    for tag, value in profile.added:
        yield f"adds {shown(tag)} with the value {value}"
    for drop in profile.drops:
        yield f"drops images with {drop.when}: {drop.because}"


def _of_patterns(site: Sequence[SiteRule]) -> Iterator[str]:
    for of, action, _ in site:
        if isinstance(of, Pattern):
            count = len(decided(of, action))
            yield f"{of} {_DOES[action]} {count} attribute{'s' * (count > 1)}"
