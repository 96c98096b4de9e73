"""The report of single images summed up by study."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final

STATES: Final = ("ready", "refused", "quarantined", "pending", "nearline", "unavailable", "lost")


@dataclass(frozen=True, slots=True)
class Line:
    """What was done to one attribute, and what says so."""

    tag: str
    name: str
    action: str
    because: str


@dataclass(frozen=True, slots=True)
class Study:
    """Images of one study, by its pseudonym; None for those that have no view, whose study is not told."""

    uid: str | None
    states: dict[str, int]
    """How many images are ready, refused, quarantined, pending."""
    went: dict[Line, int]
    """What was removed or changed, and how many elements of all its images each line is about."""
    stayed: dict[Line, int]
    """What was kept."""
    pixels: dict[str, int]
    """How many images have which variant of their pixels."""
    warnings: dict[str, int]
    """What may still show who it is, and of how many images."""
    withheld: tuple[tuple[str, str, str], ...]
    """(GUID, state, reason) of the images that are not served."""


def by_study(files: Sequence[dict[str, Any]]) -> list[Study]:
    """The files of a report summed up by study, in the order of their pseudonyms; those without a view last."""
    gathered: dict[str | None, list[dict[str, Any]]] = {}
    for file in files:
        gathered.setdefault(file["study"], []).append(file)
    return [_summed(uid, gathered[uid]) for uid in sorted(gathered, key=lambda uid: (uid is None, uid))]


def _summed(uid: str | None, files: Sequence[dict[str, Any]]) -> Study:
    return Study(
        uid=uid,
        states=in_order(Counter(file["state"] for file in files)),
        went=_counted(each for file in files for each in file["touched"]),
        stayed=_counted(each for file in files for each in file["stayed"]),
        pixels=dict(sorted(Counter(file["pixels"] for file in files if file["pixels"]).items())),
        warnings=dict(sorted(Counter(one for file in files for one in file["warnings"]).items())),
        withheld=tuple(
            (file["guid"], file["state"], file["reason"] or "") for file in files if file["state"] != "ready"
        ),
    )


def _counted(told: Iterable[dict[str, Any]]) -> dict[Line, int]:
    lines: Counter[Line] = Counter()
    for each in told:
        lines[Line(each["tag"], each["name"], each["action"], each["because"])] += each["count"]
    # The report's order: by tag, which is how "(gggg,eeee)" sorts, private attributes last.
    ordered = sorted(lines, key=lambda line: (line.tag, line.action, line.because))
    return {line: lines[line] for line in ordered}


def in_order(states: dict[str, int]) -> dict[str, int]:
    """Those that there are, the best first."""
    return {state: states[state] for state in STATES if states.get(state)}
