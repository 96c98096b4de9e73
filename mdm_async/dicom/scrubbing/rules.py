"""What scrubbing does with one element, from its tag, its VR, the profile and the public dictionary."""

from enum import Enum, auto
from typing import Final

from mdm_async.dicom.dictionary import vr_of
from mdm_async.dicom.elements import PIXEL_TAGS
from mdm_async.dicom.profile import Action, Profile, Rule, basic
from mdm_async.dicom.refusals import watched


class Step(Enum):
    """What happens to an element's bytes."""

    COPY = auto()
    DROP = auto()
    ENTER = auto()
    """A sequence: copied with each item's data set scrubbed."""
    CLEAN = auto()
    """A sequence that is kept for what can be cleaned: as ENTER, and its free texts are cleaned too."""
    UID = auto()
    IDENTIFIER = auto()
    NAME = auto()
    EMPTY = auto()
    DUMMY = auto()
    VALUE = auto()
    """Another value, of a site's rule."""
    SHIFT = auto()
    WORDS = auto()
    """Text of which only known words stay."""
    SCHEME = auto()
    """A Coding Scheme Designator, by which the code around it is judged."""
    CODE = auto()
    """A code's value: of a scheme that is not published it becomes a pseudonym."""
    MEANING = auto()
    """A code's meaning: of a scheme that is not published it is free text."""
    PRIVATE = auto()
    """The first element of a private group, which is gone through as a whole."""
    OVERLAY = auto()
    """The first element of an overlay's group, which is gone through as a whole."""
    ITEM_END = auto()


OWN_NUMBERS: Final = frozenset({0x00080050, 0x00100020, 0x00101000, 0x00200010, 0x00380010})
"""Accession Number, Patient ID, Other Patient IDs, Study ID, Admission ID."""


class Treatment:
    """What happens to every element of one tag and VR under one profile, and what says so."""

    __slots__ = (
        *("because", "counted", "fallback", "holds_items_if_undefined", "letter", "long", "names_people"),
        *("step", "tag", "value", "vr", "watched", "written"),
    )

    def __init__(
        self,
        tag: int,
        written: bytes,
        step: Step,
        rule: Rule,
        *,
        vr: bytes | None = None,
        value: bytes | None = None,
        fallback: Step = Step.DROP,
        counted: bool = True,
    ) -> None:
        self.tag = tag
        self.written = written
        """The VR as found, b"" in implicit VR."""
        self.vr = written if vr is None else vr
        """The VR to write."""
        self.step = step
        self.letter = rule.action.value
        self.because = rule.because
        self.value = value
        self.fallback = fallback
        """What is done when cleaning leaves nothing: as the basic profile has it."""
        self.counted = counted
        """Whether the report has a line of it."""
        self.watched = watched(tag) or tag in PIXEL_TAGS or tag == SOP_INSTANCE
        """Looked at where it stands at top level."""
        self.names_people = b"PN" in (written, vr_of(tag)) or tag in OWN_NUMBERS
        """Whether its words and numbers are somebody's, and are not to stay anywhere."""
        self.holds_items_if_undefined = step is Step.COPY and written in (b"UN", b"SQ", b"")
        """Of undefined length it holds items whatever the dictionary says, so it is gone into."""
        self.long = False
        """Whether the header has 12 bytes; known to who has read one."""


SOP_INSTANCE: Final = 0x00080018
BURNED_IN: Final = 0x00280301
PATIENT_NAME: Final = 0x00100010
PATIENT_ID: Final = 0x00100020
IDENTIFIERS: Final = {PATIENT_ID: "patient", 0x00080050: "accession", 0x00200010: "study"}
"""Patient ID, Accession Number, Study ID: a pseudonym keeps files of one patient, order, study together."""

ADDED: Final = frozenset({0x00120062, 0x00120063, 0x00120064, 0x00280303})
"""Said anew of every scrubbed file, so never copied."""

DATES: Final = frozenset((b"DA", b"DT", b"TM"))
TEXTS: Final = frozenset((b"SH", b"LO", b"ST", b"LT", b"UT", b"UC", b"CS"))
_FREE_TEXTS: Final = TEXTS - {b"CS"} | {b"PN", b"UR"}

_TEXT_VALUE: Final = 0x0040A160
CODE_VALUE, SCHEME = 0x00080100, 0x00080102
_MEANING: Final = 0x00080104
_CODE_VALUES: Final = frozenset({CODE_VALUE, 0x00080103, 0x00080119, 0x00080120})
"""Code Value, Coding Scheme Version, Long Code Value, URN Code Value."""
_DRAWN_TEXT: Final = frozenset({0x00700008, 0x00700289})
"""Text Object Sequence and the Tick Label of compound graphics: words, where graphics are kept for their shapes."""
_CLEANED: Final = _DRAWN_TEXT | _CODE_VALUES | {SCHEME, _MEANING}
_FIRST_OVERLAY, _OVERLAY_DATA = 0x60000000, 0x60003000
_REFERENCED_STUDY: Final = 0x00081110
CONTENT: Final = 0x0040A730
"""Content Sequence."""
_WRITTEN_ANEW: Final = Rule(Action.REMOVE, "said anew")
_UNKNOWN: Final = Rule(Action.REMOVE, "not in the public dictionary")
_DRAWN: Final = Rule(Action.REMOVE, "text among graphics")
_OWN_CODE: Final = Rule(Action.DUMMY, "code of a scheme that is not published")
_OFFSETS: Final = Rule(Action.REMOVE, "group lengths")
NOT_LOOKED_INTO: Final = Rule(Action.REMOVE, "cannot be looked into")
ORPHAN: Final = Treatment(
    0x00090000, b"", Step.DROP, Rule(Action.REMOVE, "no creator has reserved the block")
)
NO_REGION: Final = Treatment(_FIRST_OVERLAY, b"", Step.DROP, Rule(Action.REMOVE, "no region of interest"))
_BASIC_STEPS: Final = {Action.EMPTY: Step.EMPTY, Action.DUMMY: Step.DUMMY, Action.REMOVE: Step.DROP}


def treatment(tag: int, vr: bytes, profile: Profile, *, cleaned: bool = False) -> Treatment:
    """What to do with a public element of this tag and written VR (b"" in implicit VR), or a private group's first.

    `cleaned`: inside a sequence that an option keeps cleaned.

    Dropped whatever the profile says: group lengths (they would be wrong); pixels elsewhere than where the file was
    split (nobody has looked at them), also in the retired groups 7Fxx; elements that neither the profile nor the
    public dictionary knows, since nothing says what they hold; and sequences written as something else than one,
    into which one cannot look.
    """
    group = tag >> 16
    if not tag & 0xFFFF:
        return Treatment(tag, vr, Step.DROP, _OFFSETS)
    if tag in ADDED:
        return Treatment(tag, vr, Step.DROP, _WRITTEN_ANEW)
    if tag in PIXEL_TAGS or (group & 0xFF00 == 0x7F00 and group != 0x7FE0 and not group & 1):
        return Treatment(tag, vr, Step.DROP, NOT_LOOKED_INTO)
    rule = profile.rule(tag)
    if group & 1:
        return Treatment(tag, vr, Step.PRIVATE if profile.private_kept else Step.DROP, rule)
    if group >> 8 == 0x60 and profile.rule(_OVERLAY_DATA).action is Action.CLEAN:
        return Treatment(tag, vr, Step.OVERLAY, rule)
    return of_rule(tag, vr, rule, profile, cleaned=cleaned)


def of_rule(tag: int, vr: bytes, rule: Rule, profile: Profile, *, cleaned: bool = False) -> Treatment:
    """What a rule makes of a public element."""
    known, named = vr_of(tag), profile.names(tag)
    if rule.action is Action.REMOVE:
        return Treatment(tag, vr, Step.DROP, rule)
    if known is None and not named:
        return Treatment(tag, vr, Step.DROP, _UNKNOWN)
    if known == b"SQ" and vr not in (b"", b"UN", b"SQ"):
        return Treatment(tag, vr, Step.DROP, NOT_LOOKED_INTO)
    effective = (known or b"UN") if vr in (b"", b"UN") else vr
    if cleaned and not named and tag in _CLEANED:
        return _inside_cleaned(tag, vr, effective, profile)
    free_text = not named and (tag == _TEXT_VALUE or (cleaned and known in _FREE_TEXTS))
    if free_text:
        rule = _of_free_text(profile)
    # A pseudonym is text, a moved date a date: whatever VR was written, it is written with the one that is due.
    due = known or effective
    if rule.value is not None:
        return Treatment(tag, vr, Step.VALUE, rule, value=rule.value.encode(), vr=due)
    if rule.action is Action.KEEP:
        step = Step.ENTER if effective == b"SQ" else Step.COPY
        return Treatment(tag, vr, step, rule, counted=named)
    if rule.action is Action.UID:
        if effective == b"SQ":
            return Treatment(tag, vr, Step.ENTER, rule)
        return Treatment(tag, vr, Step.UID, rule, vr=b"UI")
    if rule.action is Action.SHIFT and due in DATES:
        return Treatment(tag, vr, Step.SHIFT, rule, vr=due)
    if rule.action is Action.CLEAN and due == b"SQ":
        return Treatment(tag, vr, Step.CLEAN, rule)
    if rule.action is Action.CLEAN and tag & 0xFF00FFFF == _OVERLAY_DATA and effective != b"SQ":
        return Treatment(tag, vr, Step.COPY, rule)  # of a group that has been looked at
    if rule.action in (Action.CLEAN, Action.SHIFT):
        basic_step = _BASIC_STEPS.get(basic().rule(tag).action, Step.EMPTY)
        fallback = Step.DUMMY if free_text else basic_step
        if rule.action is Action.CLEAN and due in TEXTS and effective != b"SQ":
            return Treatment(tag, vr, Step.WORDS, rule, fallback=fallback, vr=due)
        return Treatment(tag, vr, fallback, rule, vr=effective)
    if tag in IDENTIFIERS:
        return Treatment(tag, vr, Step.IDENTIFIER, rule, vr=due)
    if tag == PATIENT_NAME:
        return Treatment(tag, vr, Step.NAME, rule, vr=due)
    if tag == _REFERENCED_STUDY and effective == b"SQ":
        # Z may be a dummy (PS3.15 Table E.1-1a), and where this is of type 3 it may not be empty.
        return Treatment(tag, vr, Step.DUMMY, rule, vr=effective)
    return Treatment(tag, vr, _plain(rule, effective), rule, vr=effective)


def _inside_cleaned(tag: int, vr: bytes, effective: bytes, profile: Profile) -> Treatment:
    """What becomes of text in graphics and of codes."""
    known = vr_of(tag)
    if tag in _DRAWN_TEXT:
        return Treatment(tag, vr, Step.DROP, _DRAWN)
    if effective == b"SQ":
        return Treatment(tag, vr, Step.DROP, NOT_LOOKED_INTO)
    if tag == _MEANING:
        said = _of_free_text(profile)
        return Treatment(tag, vr, Step.MEANING, said, vr=known, fallback=Step.DUMMY, counted=False)
    step = Step.SCHEME if tag == SCHEME else Step.CODE
    return Treatment(tag, vr, step, _OWN_CODE, vr=known, counted=False)


def of_private(tag: int, vr: bytes, creator: str, profile: Profile) -> Treatment:
    """What to do with an element of this creator's block, under its own rule.

    The VR that is written has to be the one that PS3.15 lists, or one that tells nothing: only of what is listed does
    the standard say that it is safe.
    """
    rule, listed = profile.private_rule(creator, tag)
    effective = (listed or b"UN") if vr in (b"", b"UN") else vr
    if rule.action is Action.REMOVE:
        return Treatment(tag, vr, Step.DROP, rule)
    if listed and effective != listed:
        return Treatment(tag, vr, Step.DROP, NOT_LOOKED_INTO)
    if rule.value is not None:
        return Treatment(tag, vr, Step.VALUE, rule, value=rule.value.encode(), vr=effective)
    if effective == b"SQ" and rule.action in (Action.KEEP, Action.UID, Action.CLEAN):
        return Treatment(tag, vr, Step.CLEAN if rule.action is Action.CLEAN else Step.ENTER, rule)
    if rule.action is Action.KEEP:
        return Treatment(tag, vr, Step.COPY, rule)
    if rule.action is Action.UID:
        return Treatment(tag, vr, Step.UID, rule, vr=b"UI")
    if rule.action is Action.SHIFT and effective in DATES:
        return Treatment(tag, vr, Step.SHIFT, rule, vr=effective)
    if rule.action is Action.CLEAN and effective in TEXTS:
        return Treatment(tag, vr, Step.WORDS, rule, vr=effective)
    if rule.action in (Action.CLEAN, Action.SHIFT):
        return Treatment(tag, vr, Step.DROP, rule)
    return Treatment(tag, vr, _plain(rule, effective), rule, vr=effective)


def _plain(rule: Rule, vr: bytes) -> Step:
    """The step of the actions Z and D; a dummy UID is one of its own for every UID, since others may refer to it."""
    if rule.action is Action.EMPTY:
        return Step.EMPTY
    return Step.UID if vr == b"UI" else Step.DUMMY


def _of_free_text(profile: Profile) -> Rule:
    """Text in content items, in cleaned sequences, in a site's own codes: no rule names it, and anything is in it."""
    if "clean_descriptors" in profile.options:
        return Rule(Action.CLEAN, "option clean_descriptors")
    return Rule(Action.DUMMY, "free text")
