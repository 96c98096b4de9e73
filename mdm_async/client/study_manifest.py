"""A manifest of a study, as the server makes it for a receiver at another enterprise."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self

from mdm_async.errors import WrongContent

_HEADER = "MDM-Left-Out"


@dataclass(frozen=True, slots=True)
class StudyManifest:
    """`left_out`: how many files at and below the names it does not tell of, by why: their view was "refused", is
    "quarantined", "notMade" as yet, or they were "notBrought" from their archive, or are lost."""

    document: bytes
    left_out: Mapping[str, int]

    @classmethod
    def of(cls, document: bytes, headers: Mapping[str, str]) -> Self:
        """Raises WrongContent."""
        told = (one.partition("=") for one in headers.get(_HEADER, "").split(",") if one.strip())
        try:
            return cls(document, {why.strip(): int(count) for why, _, count in told})
        except ValueError:
            raise WrongContent("the server does not say how many files a manifest leaves out") from None
