"""Known kinds of pictures that show who the patient is, whatever Burned In Annotation says: dose reports, labels."""

import tomllib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from importlib import resources

from mdm_async.dicom.profiles.conditions import CONDITION_ATTRIBUTES, Condition, Readings


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of pictures, and how it is known."""

    name: str
    """For people, as "dose report"."""
    when: Condition

    @property
    def tags(self) -> frozenset[int]:
        """The attributes that name it."""
        return frozenset(tag for tag, _ in self.when.asks)


@cache
def known_kinds() -> tuple[Kind, ...]:
    """Those of known-kinds.toml, which every profile refuses."""
    text = (resources.files("mdm_async.dicom.tables") / "known-kinds.toml").read_text(encoding="utf-8")
    tags = {keyword: tag for tag, keyword in CONDITION_ATTRIBUTES.items()}
    return tuple(
        Kind(
            kind["name"],
            Condition(
                tuple(sorted((tags[keyword], tuple(patterns)) for keyword, patterns in kind["when"].items()))
            ),
        )
        for kind in tomllib.loads(text)["kinds"]
    )


def named(readings: Readings, kinds: Iterable[Kind]) -> Iterator[Kind]:
    """The kinds that one of two readers may take this picture for."""
    present = {tag for tag, values in readings.items() if values}
    return (
        kind for kind in kinds if kind.tags <= present and kind.when.holds(readings, letting_through=False)
    )
