"""What a query asks for, and what it finds."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from mdm_async.names import Lfn, View

EVERYTHING = "*"
"""Among what is chosen: all that the view says."""
MOST_CHOSEN = 100


@dataclass(frozen=True, slots=True)
class Asked:
    """`path`: None for all that the caller sees, also by whoever does not see the root. `view`: None for each entry's
    default view. `chosen`: attributes that are told of each match."""

    query: str
    path: str | None = "/"
    view: View | None = None
    chosen: Sequence[str] = ()
    order: Sequence[str] = ()
    """Attributes; with '-' before it, the largest first."""
    joins: Mapping[str, str] = field(default_factory=dict)
    """Paths by alias: what is said of entries below is asked as `<alias>.<attribute>`."""
    limit: int | None = None
    after: str | None = None
    """The cursor of an earlier answer to the same."""
    unseen: bool = False
    """The right to read the view is enough; else it takes the right to get the metadata too."""
    valued: str | None = None
    """Of originals: an attribute of which one value or another must be there, and which so few have that its index is
    gone through, in no order of names, however many of them there are."""


@dataclass(frozen=True, slots=True)
class Match:
    """An entry that a query finds. `version`: of its view, when that is ready; `values`: lists, by attribute."""

    entry: int
    guid: UUID
    lfn: Lfn
    image: UUID | None
    view: View | None
    version: str | None
    values: Mapping[str, Any] = field(repr=False)
    cursor: str
    """It leads on behind this one."""


@dataclass(frozen=True, slots=True)
class Page:
    """What is found in one step, which may be nothing."""

    matches: Sequence[Match]
