"""What a manifest tells: instances of one study, as one view shows them, and where they may be retrieved."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

Said = Mapping[str, Sequence[Any]]
"""Values by keyword, as a view says them."""


@dataclass(frozen=True, slots=True)
class Instance:
    """`frames`: 0 where it has no pixels."""

    uid: str
    sop_class: str
    number: str
    frames: int


@dataclass(frozen=True, slots=True)
class Series:
    uid: str
    said: Said
    instances: Sequence[Instance]


@dataclass(frozen=True, slots=True)
class Manifest:
    """`uid`: its own SOP Instance UID; `said`: of the study and its patient."""

    uid: str
    made: datetime
    study: str
    said: Said
    series: Sequence[Series]

    def instances(self) -> Iterator[Instance]:
        for series in self.series:
            yield from series.instances


@dataclass(frozen=True, slots=True)
class Origin:
    """Who offers the instances. `base`: the URL below which studies are (PS3.18 §10.4)."""

    base: str
    installation: UUID

    @property
    def location(self) -> str:
        """Its Retrieve Location UID (PS3.3 §C.17.2.1)."""
        return uid_of(self.installation)


def uid_of(number: UUID) -> str:
    """A UID that nobody else makes (PS3.5 §B.2)."""
    return f"2.25.{number.int}"


def first(said: Said, keyword: str) -> str:
    """The first value as text, without control characters; empty where there is none."""
    values = said.get(keyword) or ("",)
    value = values[0]
    text = str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)
    return "".join(one for one in text if one.isprintable())
