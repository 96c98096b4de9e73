"""What was done to which attributes of one image: counts, never values."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache

from mdm_async.dicom.dictionary import for_people
from mdm_async.dicom.scrubbing.step import Step


@dataclass(frozen=True)
class Touched:
    """One line of the report. Private attributes are counted together, since even their tags may tell something."""

    tag: str
    """"(0010,0010)", or "private"."""
    name: str
    """As the public dictionary has it; "" when it does not."""
    action: str
    """The letter of PS3.15 Table E.1-1a, or S for dates that were moved."""
    because: str
    count: int
    """Elements, at any depth; what was inside a removed sequence does not count."""


_Key = tuple[int, str, str]
Counts = tuple[tuple[_Key, int], ...]
"""(attribute, letter, why) and how often, ascending."""
_PRIVATE = -1
_KEPT = "K"


def counted(touched: Mapping[Step, int]) -> Counts:
    """What a copier did."""
    total: dict[_Key, int] = {}
    for step, count in touched.items():
        tag = _PRIVATE if step.tag >> 16 & 1 else step.tag
        key = (tag, step.letter, step.because)
        total[key] = total.get(key, 0) + count
    return tuple(sorted(total.items()))


def added(first: Counts, second: Counts) -> Counts:
    """Both together."""
    total = dict(first)
    for key, count in second:
        total[key] = total.get(key, 0) + count
    return tuple(sorted(total.items()))


def went(counts: Counts) -> tuple[Touched, ...]:
    """Lines of what was removed or changed; private attributes last."""
    return _lines(pair for pair in counts if pair[0][1] != _KEPT)


def stayed(counts: Counts) -> tuple[Touched, ...]:
    """Lines of what was kept, whether a rule names it or not; private attributes last."""
    return _lines(pair for pair in counts if pair[0][1] == _KEPT)


def _lines(counts: Iterable[tuple[_Key, int]]) -> tuple[Touched, ...]:
    found = [_line(key, count) for key, count in counts]
    private = [line for line in found if line.tag == "private"]
    return tuple(found[len(private) :] + private)


@lru_cache(maxsize=4096)
def _line(key: _Key, count: int) -> Touched:
    tag, action, because = key
    if tag == _PRIVATE:
        return Touched("private", "", action, because, count)
    return Touched(*for_people(tag), action, because, count)
