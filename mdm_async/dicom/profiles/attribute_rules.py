"""The rule of every public attribute under a base and its options (PS3.15 Annex E, Table E.1-1)."""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum
from typing import Final

from mdm_async.dicom.dictionary import vr_of
from mdm_async.dicom.profiles import table


class Action(Enum):
    """What happens to an attribute; the letters are those of PS3.15 Table E.1-1a, and S."""

    REMOVE = "X"
    EMPTY = "Z"
    """Zero length, or a dummy: identifiers become keyed pseudonyms."""
    DUMMY = "D"
    UID = "U"
    """Replace UIDs, the same everywhere; a sequence is kept and gone into."""
    KEEP = "K"
    """Kept as it is; a sequence is gone into."""
    CLEAN = "C"
    """Text: only known words stay. A sequence: gone into, its content cleaned. Overlay data: kept when not text."""
    SHIFT = "S"
    """Dates and times moved by the patient's whole days: the code C of the modified-dates column."""


@dataclass(frozen=True, slots=True)
class Rule:
    """What happens to an attribute, and what says so."""

    action: Action
    because: str
    """"PS3.15 basic", "beside the table", "option retain_uids", "site rule", "no rule"."""
    value: str | None = None
    """What a site rule writes instead, ASCII and legal for the VR; only with the action DUMMY."""


_BASIC: Final = "PS3.15 basic"
_BESIDE: Final = "beside the table"

PRIVATE: Final = Rule(Action.REMOVE, _BASIC)
"""The table's row for private attributes."""
UNNAMED: Final = Rule(Action.KEEP, "no rule")
"""Attributes that no rule names are kept (PS3.15 §E.1)."""
REPEATING: Final = {0x5000: Rule(Action.REMOVE, _BASIC), 0x6000: Rule(Action.REMOVE, _BESIDE)}
"""Curves as the table says; of overlays what describes nothing once their data is gone."""

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

GROUPS: Final = {
    0x0000: Rule(Action.REMOVE, _BESIDE),  # command
    0x0002: Rule(Action.REMOVE, _BESIDE),  # file meta: made anew, and has no place in the data set
    0x0004: Rule(Action.REMOVE, _BESIDE),  # directory: file names, offsets
    0x0006: Rule(Action.REMOVE, _BESIDE),
}
"""Whole groups, whatever the table, an option or a site says of a single attribute of theirs."""

CLEANED_TEXT: Final = frozenset((b"LO", b"LT", b"SH", b"ST", b"UC", b"UT", b"CS"))
"""VRs of which words can be taken away and the rest stays legal."""

OVERLAY_DATA: Final = 0x60003000
# What is needed to show an overlay (PS3.3 §C.9.2), numbers and codes; its texts are cleaned.
_SHOWS_OVERLAYS: Final = (
    (Action.KEEP, (0x0010, 0x0011, 0x0012, 0x0015, 0x0040, 0x0050, 0x0051, 0x0052, 0x0100, 0x0102)),
    (Action.KEEP, (0x1001, 0x1301, 0x1302, 0x1303)),
    (Action.CLEAN, (0x0022, 0x0045, 0x1500)),
)


def public_rules(options: frozenset[str]) -> dict[int, Rule]:
    """The rule of every single attribute that the table, what stands beside it or an option names.

    Attributes of repeating groups stand under their first group: 0x60003000 is Overlay Data of 6000 to 60FE.
    """
    rules = {
        tag: Rule(Action.KEEP, "option retain_uids")
        if action is Action.UID and "retain_uids" in options
        else Rule(action, _BESIDE)
        for tag, action in _BESIDE_THE_TABLE.items()
    }
    rules.update((tag, _rule(tag, row, options)) for tag, row in _rows())
    if "clean_graphics" in options:
        because = "option clean_graphics"
        for action, elements in _SHOWS_OVERLAYS:
            rules.update((0x60000000 | element, Rule(action, because)) for element in elements)
    return rules


def retained_by(tag: int) -> tuple[str, ...]:
    """The options under which the table keeps an attribute that it otherwise takes away."""
    row = dict(_rows()).get(tag)
    return tuple(option for option, code in row.options.items() if code == "K") if row else ()


def _rows() -> Iterator[tuple[int, table.Row]]:
    """The table's rows but for that of private attributes, with their tags as `public_rules` has them."""
    for row in table.rows():
        if row.single is not None:
            yield row.single, row
        elif row.tag == "(60xx,3000)" or row.tag == "(60xx,4000)":
            yield int(row.tag[1:3], 16) << 24 | int(row.tag[6:10], 16), row


def _rule(tag: int, row: table.Row, options: frozenset[str]) -> Rule:
    """The basic profile's rule, or what the chosen options make of it."""
    basic = Rule(_RESOLVED.get(row.basic) or Action(row.basic), _BASIC)
    chosen = {option: code for option, code in row.options.items() if option in options}
    vr = vr_of(tag)
    if not chosen or vr is None:  # of what is not in the dictionary nobody can tell what it holds
        return basic
    # A real calibration date beside moved dates would give away by how much they were moved.
    code = "C" if "C" in chosen.values() else "K"
    option = next(option for option, says in chosen.items() if says == code)
    action = Action.KEEP if code == "K" else _cleaned(tag, vr, option)
    return basic if action is None else Rule(action, f"option {option}")


def _cleaned(tag: int, vr: bytes, option: str) -> Action | None:
    """What C means for this attribute; None where nothing can be cleaned, so that the basic profile's action stays.

    AE titles cannot: a title is one word, and known or not. Nor can bytes that are no text, but for overlays; and a
    time zone beside moved dates, or a timestamp in bytes, cannot be moved.
    """
    if option == "retain_longitudinal_modified_dates" and vr != b"SQ":
        return Action.SHIFT if vr in (b"DA", b"DT", b"TM") else None
    return Action.CLEAN if vr == b"SQ" or vr in CLEANED_TEXT or tag == OVERLAY_DATA else None
