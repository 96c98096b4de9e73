"""De-identification profiles: which action each attribute gets (PS3.15 Annex E, Table E.1-1)."""

import csv
import hashlib
from dataclasses import dataclass, field
from enum import Enum
from functools import cache
from importlib import resources
from typing import Final

EDITION: Final = "2025e"


class Action(Enum):
    """What happens to an attribute; the letters are those of PS3.15 Table E.1-1a."""

    REMOVE = "X"
    EMPTY = "Z"
    """Zero length, or a dummy: identifiers become keyed pseudonyms."""
    DUMMY = "D"
    UID = "U"
    """Replace UIDs, the same everywhere; a sequence is kept and gone into."""
    KEEP = "K"
    """Kept as it is; a sequence is gone into."""


# A compound code depends on the attribute's type in its IOD. Without that knowledge the safe and conformant reading
# is the one that keeps the attribute present and its content away (PS3.15 §E.3, Table E.1-1a).
_RESOLVED: Final = {
    "X/Z": Action.EMPTY,
    "X/D": Action.DUMMY,
    "Z/D": Action.DUMMY,
    "X/Z/D": Action.DUMMY,
    "X/Z/U*": Action.UID,
}

# Not in the table of this edition, yet identifying, or a lie once other attributes are gone.
_BESIDE_THE_TABLE: Final = {
    0x4FFE0001: Action.REMOVE,  # MAC Parameters: signatures are removed
    0x00420010: Action.EMPTY,  # Document Title, type 2
    0x00287FE0: Action.REMOVE,  # Pixel Data Provider URL
    0x00080001: Action.REMOVE,  # Length to End: a stale offset
    # UIDs of instances, frames of reference and organisations; those that the standard names stay all the same.
    **dict.fromkeys(
        (0x0008010D, 0x00081167, 0x00083012, 0x0018991E, 0x00200242, 0x00209312, 0x00209313), Action.UID
    ),
    **dict.fromkeys(
        (0x00280304, 0x0040A021, 0x0040A022, 0x0040E011, 0x0040E030, 0x0040E031, 0x00440102), Action.UID
    ),
    **dict.fromkeys(
        (0x00440108, 0x00687004, 0x0070031B, 0x00701209, 0x00701904, 0x0072007F, 0x300A0675), Action.UID
    ),
    0x3010001F: Action.UID,
    # Addresses of files and servers, which hold study and instance UIDs; (0040,E012) is in edition 2026c.
    **dict.fromkeys((0x00080407, 0x00080408, 0x00080409, 0x0008040B, 0x00081190, 0x00404073), Action.REMOVE),
    **dict.fromkeys((0x0040E010, 0x0040E012, 0x0074100A), Action.REMOVE),
    # Names and days of industrial testing, inventories and security screening.
    **dict.fromkeys((0x00140104, 0x00142006, 0x0040A067), Action.EMPTY),
    **dict.fromkeys((0x00080404, 0x00080416, 0x0008041F, 0x00140102, 0x00140103, 0x00141020), Action.EMPTY),
    **dict.fromkeys((0x00143076, 0x00143077, 0x00144076, 0x00144078, 0x0014407A, 0x40101025), Action.EMPTY),
    **dict.fromkeys((0x40101026, 0x4010102B, 0x40101041), Action.EMPTY),
}
_GROUPS_BESIDE_THE_TABLE: Final = {
    0x0000: Action.REMOVE,  # command
    0x0002: Action.REMOVE,  # file meta: made anew, and has no place in the data set
    0x0004: Action.REMOVE,  # directory: file names, offsets
    0x0006: Action.REMOVE,
}
# Overlay data is removed by the table. What would be left, its description and label among it, describes nothing.
_REPEATING_BESIDE_THE_TABLE: Final = {0x5000: Action.REMOVE, 0x6000: Action.REMOVE}


@dataclass(frozen=True)
class Profile:
    """A named set of rules. Two profiles with one digest do the same to every attribute."""

    name: str
    edition: str
    single: dict[int, Action] = field(repr=False)
    groups: dict[int, Action] = field(repr=False)
    """Whole groups."""
    repeating: dict[int, Action] = field(repr=False)
    """Whole repeating groups, by their first: 0x6000 stands for 6000 to 60FE."""
    private: Action = Action.REMOVE
    digest: str = field(init=False)
    """SHA-256 over the effective rules, 64 hex digits."""

    def __post_init__(self) -> None:
        rules = [f"private {self.private.value}"]
        rules += [f"{tag:08X} {action.value}" for tag, action in sorted(self.single.items())]
        rules += [f"{group:04X} {action.value}" for group, action in sorted(self.groups.items())]
        rules += [f"{group >> 8:02X}xx {action.value}" for group, action in sorted(self.repeating.items())]
        object.__setattr__(self, "digest", hashlib.sha256("\n".join(rules).encode()).hexdigest())

    def action(self, tag: int) -> Action:
        """What happens to this attribute, at any depth. Attributes that no rule names are kept (PS3.15 §E.1)."""
        group = tag >> 16
        if group & 1:
            return self.private
        if (whole := self.groups.get(group) or self.repeating.get(group & 0xFF00)) is not None:
            return whole
        return self.single.get(tag, Action.KEEP)

    def names(self, tag: int) -> bool:
        """Whether a rule names this very attribute, rather than its group or none."""
        return tag in self.single


@cache
def basic() -> Profile:
    """The Basic Application Level Confidentiality Profile, without options (PS3.15 §E.2)."""
    single = dict(_BESIDE_THE_TABLE)
    repeating = dict(_REPEATING_BESIDE_THE_TABLE)
    for tag, code in basic_column():
        action = _RESOLVED[code] if code in _RESOLVED else Action(code)
        if "where gggg is odd" in tag:
            assert action is Action.REMOVE
        elif "xx" in tag:
            repeating[int(tag[1:3], 16) << 8] = action
        else:
            single[int(tag[1:5] + tag[6:10], 16)] = action
    return Profile("basic", EDITION, single, dict(_GROUPS_BESIDE_THE_TABLE), repeating)


def basic_column() -> list[tuple[str, str]]:
    """(tag as printed, code) of every row of Table E.1-1."""
    table = resources.files("mdm_async.dicom.tables") / f"ps3.15-table-e1-1-{EDITION}.csv"
    rows = csv.DictReader(table.read_text(encoding="utf-8").splitlines())
    return [(row["tag"], row["basic"]) for row in rows]
