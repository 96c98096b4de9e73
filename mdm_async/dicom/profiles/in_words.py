"""What a profile's rules do beside single attributes, in words, for who checks one."""

from collections.abc import Iterator
from typing import Final

from mdm_async.dicom.profile import Action, Profile
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
    """A line for each pattern."""
    for of, action, _ in profile.site:
        if isinstance(of, Pattern):
            count = len(decided(of, action))
            yield f"{of} {_DOES[action]} {count} attribute{'s' * (count > 1)}"
