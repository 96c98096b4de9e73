"""What a query may name: attributes, each of one kind."""

import re
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

NAME: Final = re.compile(r"[A-Za-z][A-Za-z0-9_-]*")
"""A name, or a part of one; parts are joined by dots: `Modality`, `mine.quality`, `c.mine.quality`."""


class Kind(StrEnum):
    """What an attribute's values are: all but numbers are text, and compared by their characters."""

    TEXT = "text"
    NUMBER = "number"
    DATE = "date"
    """YYYYMMDD."""
    TIME = "time"
    """HHMMSS, as far as it is known, and fractions of a second."""
    UID = "uid"


@dataclass(frozen=True, slots=True)
class Attribute:
    """One that there is, under the name by which the query calls it."""

    name: str
    kind: Kind

    @property
    def many(self) -> bool:
        """Whether it may have several values at once."""
        return False
