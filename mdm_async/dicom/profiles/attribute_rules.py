"""The rule of every public attribute under a base and its options (PS3.15 Annex E, Table E.1-1).

What no row names is denied: under the base "basic" only numbers, terms and sequences stay, and what a reviewed row
keeps; under "ps3.15" what the standard's table does not name stays, as PS3.15 §E.1 has it; under "keep-only" nothing
does but what a file needs to be legal and readable.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import Enum
from functools import cache, lru_cache
from typing import Final

from pydicom._dicom_dict import DicomDictionary

from mdm_async.dicom.dictionary import vr_of, vrs_of
from mdm_async.dicom.profiles import table
from mdm_async.dicom.profiles.reviewed import Reviewed, reviewed, under_every_base

OF_SITE: Final = "site rule"
"""With which the reasons of a site's rules begin."""


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
    """"PS3.15 basic", "reviewed: names a patient", "by VR", "option retain_uids", "site rule", "no rule"."""
    value: str | None = None
    """Of DUMMY what a site rule writes instead, ASCII and legal for the VR; of CLEAN how it makes values coarser."""
    keeps: str = ""
    """What a kept value has to pass (`values.kept_text`); "" for anything that is legal for the attribute."""
    asked: bool = field(default=False, compare=False)
    """Whether an option or the site asks for it, rather than the base."""

    @property
    def of_site(self) -> bool:
        """Whether the site asks for it."""
        return self.because.startswith(OF_SITE)


_BASIC: Final = "PS3.15 basic"
_WHOLE_GROUP: Final = "whole group"

_MODIFIED_DATES: Final = "retain_longitudinal_modified_dates"

PRIVATE: Final = Rule(Action.REMOVE, _BASIC)
"""The table's row for private attributes."""
UNNAMED: Final = Rule(Action.KEEP, "no rule")
"""Attributes that no rule names are kept (PS3.15 §E.1) under the base "ps3.15"."""
BY_VR: Final = Rule(Action.KEEP, "by VR")
"""Numbers, terms and sequences that no rule names."""
_DENIED: Final = Rule(Action.REMOVE, "no rule keeps it")
_UNKNOWN: Final = Rule(Action.REMOVE, "not in the public dictionary")
_HARMLESS_VRS: Final = frozenset(b"AT CS DS FD FL IS SL SQ SS SV UL US UV".split())
"""Of numbers, of terms (whose values are looked at), of tags (only those that remain), of sequences (gone into)."""
REPEATING: Final = {0x5000: Rule(Action.REMOVE, _BASIC), 0x6000: Rule(Action.REMOVE, _WHOLE_GROUP)}
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

# The table removes these; where PS3.3 requires them beside what stays, the object would be none any more.
_REQUIRED: Final = {
    0x00401001: Action.EMPTY,  # Requested Procedure ID: type 2 in Referenced Request Sequence
    0x00700082: Action.DUMMY,  # Presentation Creation Date: type 1 in presentation states
    0x00700083: Action.DUMMY,  # Presentation Creation Time: type 1 in presentation states
    0x30020121: Action.DUMMY,  # Position Acquisition Template Name: type 1
    0x30020123: Action.EMPTY,  # Position Acquisition Template Description: type 2
    0x300A0216: Action.EMPTY,  # Source Manufacturer: type 2 in recorded sources
    0x300A078E: Action.EMPTY,  # Patient Treatment Preparation Procedure Parameter Description: type 2
    0x300A0794: Action.EMPTY,  # Patient Setup Photo Description: type 2
    0x30100061: Action.EMPTY,  # Prior Treatment Dose Description: type 2
}

GROUPS: Final = {
    0x0000: Rule(Action.REMOVE, _WHOLE_GROUP),  # command
    0x0002: Rule(Action.REMOVE, _WHOLE_GROUP),  # file meta: made anew, and has no place in the data set
    0x0004: Rule(Action.REMOVE, _WHOLE_GROUP),  # directory: file names, offsets
    0x0006: Rule(Action.REMOVE, _WHOLE_GROUP),
}
"""Whole groups, whatever the table, an option or a site says of a single attribute of theirs."""

CLEANED_TEXT: Final = frozenset((b"LO", b"LT", b"SH", b"ST", b"UC", b"UT", b"CS"))
"""VRs of which words can be taken away and the rest stays legal."""

OVERLAY_DATA: Final = 0x60003000
_SHOWS_OVERLAYS: Final = (
    *(0x0010, 0x0011, 0x0012, 0x0015, 0x0040, 0x0050, 0x0051, 0x0052, 0x0100, 0x0102),
    *(0x1001, 0x1301, 0x1302, 0x1303),
)
"""What is needed to show an overlay (PS3.3 §C.9.2), numbers and codes; reviewed rows are about its texts."""

NEEDED: Final = frozenset(
    # Character set, image type, class, instance, study and series: who, what, which.
    {
        0x00080005,
        0x00080008,
        0x00080016,
        0x00080018,
        0x00080060,
        0x0020000D,
        0x0020000E,
        0x00200011,
        0x00200013,
    }
    # Of type 2, so present, and empty or a pseudonym: dates, accession, physician, patient, study.
    | {
        0x00080020,
        0x00080030,
        0x00080050,
        0x00080090,
        0x00100010,
        0x00100020,
        0x00100030,
        0x00100040,
        0x00200010,
    }
    # What pixels are read by (PS3.3 §C.7.6.3, §C.11.1, §C.7.9).
    | {
        0x00280002,
        0x00280004,
        0x00280006,
        0x00280008,
        0x00280009,
        0x00280010,
        0x00280011,
        0x00280030,
        0x00280034,
    }
    | {0x00280100, 0x00280101, 0x00280102, 0x00280103, 0x00280106, 0x00280107, 0x00280301, 0x00282110}
    | {0x00281052, 0x00281053, 0x00281054}
    | {0x00281101, 0x00281102, 0x00281103, 0x00281201, 0x00281202, 0x00281203}
)
"""What a file needs to be legal and readable."""


def public_rules(base: str, options: frozenset[str]) -> dict[int, Rule]:
    """The rule of every single attribute that the table, a reviewed row or an option names.

    Attributes of repeating groups stand under their first group: 0x60003000 is Overlay Data of 6000 to 60FE.
    """
    rows = reviewed()
    tags = under_every_base() if base == "ps3.15" else rows.keys()
    rules = {tag: _of_reviewed(rows[tag], options) for tag in tags}
    rules.update((tag, _rule(tag, row, options)) for tag, row in _rows())
    if base == "ps3.15" and _MODIFIED_DATES in options:
        moved = Rule(Action.SHIFT, f"option {_MODIFIED_DATES}", asked=True)
        rules = dict.fromkeys(_all_dates(), moved) | rules
    if "clean_graphics" in options:
        kept = Rule(Action.KEEP, "option clean_graphics", asked=True)
        rules.update((0x60000000 | element, kept) for element in _SHOWS_OVERLAYS)
    if base == "keep-only":
        return {tag: rule for tag, rule in rules.items() if rule.asked or tag in NEEDED}
    return rules


@cache
def _all_dates() -> frozenset[int]:
    """Every date of the dictionary: one that stayed beside moved ones would tell by how much they were moved."""
    return frozenset(tag for tag, entry in DicomDictionary.items() if entry[0] in ("DA", "DT"))


@lru_cache(maxsize=8192)
def unnamed(base: str, tag: int) -> Rule:
    """The rule of a public attribute that has none of its own."""
    vrs = vrs_of(tag)
    if not vrs:
        return _UNKNOWN
    if base == "ps3.15":
        return UNNAMED
    if base == "keep-only":
        return BY_VR if tag in NEEDED else _DENIED
    return BY_VR if vrs <= _HARMLESS_VRS else _DENIED


def _of_reviewed(row: Reviewed, options: frozenset[str]) -> Rule:
    """A reviewed row's rule, or what the chosen options make of it: rather cleaned or moved than kept."""
    chosen = {letter: option for option, letter in row.under.items() if option in options}
    for letter in ("X", "S", "C", "K"):
        if letter in chosen:
            return Rule(Action(letter), f"option {chosen[letter]}", asked=True)
    return Rule(Action(row.action), f"reviewed: {row.reason}", keeps=row.keeps)


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
    basic = Rule(_REQUIRED.get(tag) or _RESOLVED.get(row.basic) or Action(row.basic), _BASIC)
    chosen = {option: code for option, code in row.options.items() if option in options}
    vr = vr_of(tag)
    if not chosen or vr is None:  # of what is not in the dictionary nobody can tell what it holds
        return basic
    # A real calibration date beside moved dates would give away by how much they were moved.
    code = "C" if "C" in chosen.values() else "K"
    option = next(option for option, says in chosen.items() if says == code)
    action = Action.KEEP if code == "K" else _cleaned(tag, vr, option)
    return basic if action is None else Rule(action, f"option {option}", asked=True)


def _cleaned(tag: int, vr: bytes, option: str) -> Action | None:
    """What C means for this attribute; None where nothing can be cleaned, so that the basic profile's action stays.

    AE titles cannot: a title is one word, and known or not. Nor can bytes that are no text, but for overlays; and a
    time zone beside moved dates, or a timestamp in bytes, cannot be moved.
    """
    if option == _MODIFIED_DATES and vr != b"SQ":
        return Action.SHIFT if vr in (b"DA", b"DT", b"TM") else None
    return Action.CLEAN if vr == b"SQ" or vr in CLEANED_TEXT or tag == OVERLAY_DATA else None
