"""What scrubbing does with one element: the step that a rule comes to for an element of this tag and VR.

A *rule* is what a profile wants of an attribute; a *step* is what the copier does with the elements that have one tag
and one VR. `_KINDS` is the policy; `_EXCEPTIONS` are the attributes that differ from it, each with its reason.
"""

from enum import Enum, auto
from typing import Final

from mdm_async.dicom.dictionary import vr_of
from mdm_async.dicom.elements import BLANK_VRS, PIXEL_TAGS
from mdm_async.dicom.pixels import faces, ultrasound
from mdm_async.dicom.pixels.description import EXTENDED_TABLE, FRAME_TYPE
from mdm_async.dicom.profile import Action, Profile, Rule, basic
from mdm_async.dicom.refusals import watched


class StepKind(Enum):
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
    COARSER = auto()
    """A coarser value: the year of a date, the decade of an age."""
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
    RESTATE = auto()
    """A value that is kept, of an element whose VR was left blank: it is written with the one that is due."""
    ITEM_END = auto()
    PADDING = auto()
    """Zeros up to the end of the file, which are left out."""


OWN_NUMBERS: Final = frozenset({0x00080050, 0x00100020, 0x00101000, 0x00200010, 0x00380010})
"""Accession Number, Patient ID, Other Patient IDs, Study ID, Admission ID."""


class Step:
    """What happens to every element of one tag and VR under one profile, and what says so."""

    __slots__ = (
        *("because", "fallback", "holds_items_if_undefined", "kind", "letter", "long"),
        *("names_people", "tag", "value", "vr", "watched", "watched_deep", "written"),
    )

    def __init__(
        self,
        tag: int,
        written: bytes,
        kind: StepKind,
        rule: Rule,
        *,
        vr: bytes | None = None,
        fallback: StepKind = StepKind.DROP,
    ) -> None:
        self.tag = tag
        self.written = written
        """The VR as found, b"" in implicit VR."""
        self.vr = written if vr is None else vr
        """The VR to write."""
        self.kind = kind
        self.letter = rule.action.value
        self.because = rule.because
        self.value = None if rule.value is None else rule.value.encode()
        """What a site's rule writes, or how it makes values coarser."""
        self.fallback = fallback
        """What is done when cleaning leaves nothing: as the basic profile has it."""
        self.watched_deep = tag in (FRAME_TYPE, faces.ANATOMY)
        """Looked at at any depth."""
        self.watched = (
            watched(tag)
            or self.watched_deep
            or tag in PIXEL_TAGS
            or tag in (SOP_INSTANCE, ultrasound.REGIONS)
        )
        """Looked at where it stands at top level."""
        self.names_people = b"PN" in (written, vr_of(tag)) or tag in OWN_NUMBERS
        """Whether its words and numbers are somebody's, and are not to stay anywhere."""
        self.holds_items_if_undefined = kind is StepKind.COPY and written in (b"UN", b"SQ", b"")
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


class _Holds(Enum):
    """What values of a VR are, as far as a rule has to tell them apart."""

    ITEMS = auto()
    UIDS = auto()
    DATES = auto()
    TEXT = auto()
    OTHER = auto()


_HOLDS: Final = {
    b"SQ": _Holds.ITEMS,
    b"UI": _Holds.UIDS,
    **dict.fromkeys((b"DA", b"DT", b"TM"), _Holds.DATES),
    **dict.fromkeys((b"SH", b"LO", b"ST", b"LT", b"UT", b"UC", b"CS"), _Holds.TEXT),
}
_FREE_TEXTS: Final = frozenset((b"SH", b"LO", b"ST", b"LT", b"UT", b"UC", b"PN", b"UR"))

_AS_BASIC: Final = None
"""As the basic profile has it: what the rule wants is not possible with such values."""
_COLUMNS: Final = (_Holds.ITEMS, _Holds.UIDS, _Holds.DATES, _Holds.TEXT, _Holds.OTHER)
_ROWS: Final = {
    Action.REMOVE: (StepKind.DROP,) * 5,
    Action.EMPTY: (StepKind.EMPTY,) * 5,
    # A dummy UID is one of its own for every UID, since others may refer to it.
    Action.DUMMY: (StepKind.DUMMY, StepKind.UID, StepKind.DUMMY, StepKind.DUMMY, StepKind.DUMMY),
    Action.UID: (StepKind.ENTER, StepKind.UID, StepKind.UID, StepKind.UID, StepKind.UID),
    Action.KEEP: (StepKind.ENTER, StepKind.COPY, StepKind.COPY, StepKind.COPY, StepKind.COPY),
    Action.CLEAN: (StepKind.CLEAN, _AS_BASIC, _AS_BASIC, StepKind.WORDS, _AS_BASIC),
    Action.SHIFT: (_AS_BASIC, _AS_BASIC, StepKind.SHIFT, _AS_BASIC, _AS_BASIC),
}
_KINDS: Final = {
    (action, holds): kind for action, row in _ROWS.items() for holds, kind in zip(_COLUMNS, row, strict=True)
}
_FALLBACKS: Final = {
    Action.EMPTY: StepKind.EMPTY,
    Action.DUMMY: StepKind.DUMMY,
    Action.REMOVE: StepKind.DROP,
}
"""Of the basic profile's action, where cleaning leaves nothing."""

_OVERLAY_DATA: Final = 0x60003000
_EXCEPTIONS: Final[tuple[tuple[int, tuple[Action, ...], StepKind, str], ...]] = (
    *(
        (tag, (Action.EMPTY, Action.DUMMY), StepKind.IDENTIFIER, f"keeps the files of one {kind} together")
        for tag, kind in IDENTIFIERS.items()
    ),
    (PATIENT_NAME, (Action.EMPTY, Action.DUMMY), StepKind.NAME, "the patient is known by a pseudonym"),
    (
        0x00081110,  # Referenced Study Sequence
        (Action.EMPTY,),
        StepKind.DUMMY,
        "Z may be a dummy (PS3.15 Table E.1-1a), and where the sequence is of type 3 it may not be empty",
    ),
    (_OVERLAY_DATA, (Action.CLEAN,), StepKind.COPY, "the whole group has been looked at"),
)
"""(attribute, actions, kind of step, why)."""
_EXCEPTIONAL: Final = {(tag, action): kind for tag, actions, kind, _ in _EXCEPTIONS for action in actions}
_ON_SEQUENCES_ONLY: Final = frozenset({0x00081110})

_TEXT_VALUE: Final = 0x0040A160
CODE_VALUE, SCHEME = 0x00080100, 0x00080102
_MEANING: Final = 0x00080104
_CODE_VALUES: Final = frozenset({CODE_VALUE, 0x00080103, 0x00080119, 0x00080120})
"""Code Value, Coding Scheme Version, Long Code Value, URN Code Value."""
_DRAWN_TEXT: Final = frozenset({0x00700008, 0x00700289})
"""Text Object Sequence and the Tick Label of compound graphics: words, where graphics are kept for their shapes."""
_CLEANED: Final = _DRAWN_TEXT | _CODE_VALUES | {SCHEME, _MEANING}
CONTENT: Final = 0x0040A730
"""Content Sequence."""
_WRITTEN_ANEW: Final = Rule(Action.REMOVE, "said anew")
_UNKNOWN: Final = Rule(Action.REMOVE, "not in the public dictionary")
_DRAWN: Final = Rule(Action.REMOVE, "text among graphics")
_OWN_CODE: Final = Rule(Action.DUMMY, "code of a scheme that is not published")
_OFFSETS: Final = Rule(Action.REMOVE, "group lengths")
NOT_LOOKED_INTO: Final = Rule(Action.REMOVE, "cannot be looked into")
ORPHAN: Final = Step(0x00090000, b"", StepKind.DROP, Rule(Action.REMOVE, "no creator has reserved the block"))
NO_REGION: Final = Step(0x60000000, b"", StepKind.DROP, Rule(Action.REMOVE, "no region of interest"))


def step_of(tag: int, vr: bytes, profile: Profile, *, cleaned: bool = False) -> Step:
    """What to do with a public element of this tag and written VR (b"" in implicit VR), or a private group's first.

    `cleaned`: inside a sequence that an option keeps cleaned.

    Dropped whatever the profile says: group lengths (they would be wrong); pixels elsewhere than where the file was
    split (nobody has looked at them), also in the retired groups 7Fxx, and tables of their offsets; elements that
    neither the profile nor the public dictionary knows, since nothing says what they hold; and sequences written as
    something else than one, into which one cannot look.
    """
    group = tag >> 16
    if not tag & 0xFFFF:
        return Step(tag, vr, StepKind.DROP, _OFFSETS)
    if tag in ADDED:
        return Step(tag, vr, StepKind.DROP, _WRITTEN_ANEW)
    if tag in PIXEL_TAGS | EXTENDED_TABLE or (group & 0xFF00 == 0x7F00 and group != 0x7FE0 and not group & 1):
        return Step(tag, vr, StepKind.DROP, NOT_LOOKED_INTO)
    rule = profile.rule(tag)
    if group & 1:
        return Step(tag, vr, StepKind.PRIVATE if profile.private_kept else StepKind.DROP, rule)
    if group >> 8 == 0x60 and profile.rule(_OVERLAY_DATA).action is Action.CLEAN:
        return Step(tag, vr, StepKind.OVERLAY, rule)
    return step_of_public(tag, vr, rule, profile, cleaned=cleaned)


def step_of_public(tag: int, vr: bytes, rule: Rule, profile: Profile, *, cleaned: bool = False) -> Step:
    """What a rule makes of a public element, whatever group it is in."""
    if vr in BLANK_VRS:
        return _restated(step_of_public(tag, b"UN", rule, profile, cleaned=cleaned), vr, vr_of(tag))
    known, named = vr_of(tag), profile.names(tag)
    if rule.action is Action.REMOVE:
        return Step(tag, vr, StepKind.DROP, rule)
    if known is None and not named:
        return Step(tag, vr, StepKind.DROP, _UNKNOWN)
    effective = (known or b"UN") if vr in (b"", b"UN") else vr
    if known is not None and (known == b"SQ") != (effective == b"SQ"):
        return Step(tag, vr, StepKind.DROP, NOT_LOOKED_INTO)
    if cleaned and not named and tag in _CLEANED:
        return _inside_cleaned(tag, vr, profile)
    fallback = _FALLBACKS.get(basic().rule(tag).action, StepKind.EMPTY)
    if not named and (tag == _TEXT_VALUE or (cleaned and known in _FREE_TEXTS)):
        rule, fallback = _of_free_text(profile), StepKind.DUMMY
    return _step(tag, vr, effective, known or effective, rule, fallback)


def step_of_private(tag: int, vr: bytes, creator: str, profile: Profile) -> Step:
    """What to do with an element of this creator's block, under its own rule.

    The VR that is written has to be the one that PS3.15 lists, or one that tells nothing: only of what is listed does
    the standard say that it is safe.
    """
    rule, listed = profile.private_rule(creator, tag)
    if vr in BLANK_VRS:
        return _restated(step_of_private(tag, b"UN", creator, profile), vr, listed)
    effective = (listed or b"UN") if vr in (b"", b"UN") else vr
    if listed and effective != listed and rule.action is not Action.REMOVE:
        return Step(tag, vr, StepKind.DROP, NOT_LOOKED_INTO)
    if rule.action is Action.UID and effective not in (b"UI", b"SQ"):
        return Step(tag, vr, StepKind.DROP, NOT_LOOKED_INTO)
    return _step(tag, vr, effective, effective, rule, StepKind.DROP)


def _restated(step: Step, written: bytes, due: bytes | None) -> Step:
    """The step for an element whose VR was left blank, from that for the same element as UN.

    Nothing of such an element is copied as it stands, and what would be gone into is dropped.
    """
    step.written = written
    step.holds_items_if_undefined = False
    if step.kind is StepKind.COPY:
        step.kind, step.vr = StepKind.RESTATE, due or b"UN"
    elif step.kind in (StepKind.ENTER, StepKind.CLEAN, StepKind.SCHEME, StepKind.CODE, StepKind.MEANING):
        step.kind, step.because = StepKind.DROP, NOT_LOOKED_INTO.because
    return step


def _step(tag: int, vr: bytes, effective: bytes, due: bytes, rule: Rule, fallback: StepKind) -> Step:
    """The step of the policy's table, or of the exceptions to it.

    `effective` is the VR that the element has, `due` the one that the dictionary gives it: a pseudonym is text, a moved
    date a date, whatever VR was written.
    """
    kind: StepKind | None
    if rule.value is not None:
        kind = StepKind.COARSER if rule.action is Action.CLEAN else StepKind.VALUE
        return Step(tag, vr, kind, rule, vr=due, fallback=fallback)
    holds = _HOLDS.get(due if rule.action in (Action.CLEAN, Action.SHIFT) else effective, _Holds.OTHER)
    of = tag & 0xFF00FFFF if tag >> 24 == 0x60 else tag
    if (of, rule.action) in _EXCEPTIONAL and (holds is _Holds.ITEMS or of not in _ON_SEQUENCES_ONLY):
        kind = _EXCEPTIONAL[of, rule.action]
    else:
        kind = _KINDS[rule.action, holds]
    if kind is _AS_BASIC:
        return Step(tag, vr, fallback, rule, vr=effective)
    if kind in (StepKind.COPY, StepKind.ENTER, StepKind.CLEAN, StepKind.DROP):
        return Step(tag, vr, kind, rule)
    if kind in (StepKind.EMPTY, StepKind.DUMMY):
        return Step(tag, vr, kind, rule, vr=effective)
    return Step(tag, vr, kind, rule, vr=b"UI" if kind is StepKind.UID else due, fallback=fallback)


def _inside_cleaned(tag: int, vr: bytes, profile: Profile) -> Step:
    """What becomes of text in graphics and of codes."""
    known = vr_of(tag)
    if tag in _DRAWN_TEXT:
        return Step(tag, vr, StepKind.DROP, _DRAWN)
    if tag == _MEANING:
        said = _of_free_text(profile)
        return Step(tag, vr, StepKind.MEANING, said, vr=known, fallback=StepKind.DUMMY)
    kind = StepKind.SCHEME if tag == SCHEME else StepKind.CODE
    return Step(tag, vr, kind, _OWN_CODE, vr=known)


def _of_free_text(profile: Profile) -> Rule:
    """Text in content items, in cleaned sequences, in a site's own codes: no rule names it, and anything is in it."""
    if "clean_descriptors" in profile.options:
        return Rule(Action.CLEAN, "option clean_descriptors")
    return Rule(Action.DUMMY, "free text")
