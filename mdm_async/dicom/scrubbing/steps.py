"""Which step a rule comes to, for an element of this tag and VR.

A *rule* is what a profile wants of an attribute; a *step* is what the copier does with the elements that have one tag
and one VR. `_KINDS` is the policy; `_EXCEPTIONS` are the attributes that differ from it, each with its reason.
"""

from enum import Enum, auto
from functools import partial
from typing import Final, NamedTuple

from mdm_async.dicom.dictionary import vr_of, vrs_of
from mdm_async.dicom.elements import BLANK_VRS, PIXEL_TAGS
from mdm_async.dicom.pixels.description import EXTENDED_TABLE
from mdm_async.dicom.profile import Action, Profile, Rule, basic
from mdm_async.dicom.profiles.attribute_rules import UNNAMED
from mdm_async.dicom.profiles.macros import members_of
from mdm_async.dicom.scrubbing.believed import OF_ANY, STANDARD_UID, check_of
from mdm_async.dicom.scrubbing.step import Step, StepKind
from mdm_async.dicom.values.terms import which_stay

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
    TAGS = auto()


_HOLDS: Final = {
    b"SQ": _Holds.ITEMS,
    b"UI": _Holds.UIDS,
    b"AT": _Holds.TAGS,
    **dict.fromkeys((b"DA", b"DT", b"TM"), _Holds.DATES),
    **dict.fromkeys((b"SH", b"LO", b"ST", b"LT", b"UT", b"UC", b"CS"), _Holds.TEXT),
}
_FREE_TEXTS: Final = frozenset((b"SH", b"LO", b"ST", b"LT", b"UT", b"UC", b"PN", b"UR"))

_AS_BASIC: Final = None
"""As the basic profile has it: what the rule wants is not possible with such values."""
_COLUMNS: Final = (_Holds.ITEMS, _Holds.UIDS, _Holds.DATES, _Holds.TEXT, _Holds.OTHER, _Holds.TAGS)
_ROWS: Final = {
    Action.REMOVE: (StepKind.DROP,) * 6,
    Action.EMPTY: (StepKind.EMPTY,) * 6,
    # A dummy UID is one of its own for every UID, since others may refer to it.
    Action.DUMMY: (StepKind.DUMMY, StepKind.UID, *(StepKind.DUMMY,) * 4),
    Action.UID: (StepKind.ENTER, *(StepKind.UID,) * 5),
    Action.KEEP: (StepKind.ENTER, StepKind.COPY, StepKind.COPY, StepKind.COPY, StepKind.COPY, StepKind.TAGS),
    Action.CLEAN: (StepKind.CLEAN, _AS_BASIC, _AS_BASIC, StepKind.WORDS, _AS_BASIC, _AS_BASIC),
    Action.SHIFT: (_AS_BASIC, _AS_BASIC, StepKind.SHIFT, _AS_BASIC, _AS_BASIC, _AS_BASIC),
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

_TEXT_VALUE: Final = 0x0040A160
CONTENT: Final = 0x0040A730
"""Content Sequence."""
CODE_TAGS: Final = frozenset(
    {0x00080100, 0x00080101, 0x00080102, 0x00080103, 0x00080104, 0x00080108, 0x00080119, 0x00080120}
)
"""The parts of a code (PS3.3 §8.8), those that are retired too."""
_CHARACTER_SET: Final = 0x00080005
_WRITTEN_ANEW: Final = Rule(Action.REMOVE, "said anew")
_CODE: Final = Rule(Action.CLEAN, "part of a code")
_OFFSETS: Final = Rule(Action.REMOVE, "group lengths")
_NOT_A_MEMBER: Final = Rule(Action.REMOVE, "no member of the sequence's macro")
NOT_LOOKED_INTO: Final = Rule(Action.REMOVE, "cannot be looked into")


def _removed(tag: int, because: str) -> Step:
    return Step(tag, b"", StepKind.DROP, Rule(Action.REMOVE, because))


ORPHAN: Final = _removed(0x00090000, "no creator has reserved the block")
EMPTY_BLOCK: Final = _removed(0x00090010, "nothing of the block is kept")
NAMES_BLOCK: Final = Step(0x00090010, b"", StepKind.COPY, Rule(Action.KEEP, "names a block"))
NO_REGION: Final = _removed(0x60000000, "no region of interest")
FRAGMENTS: Final = _removed(0, "fragments, into which nobody has looked")
UNKNOWN_CONTENT: Final = _removed(CONTENT, "item of an unknown value type")

_FREE_TEXT: Final = Rule(Action.DUMMY, "free text")
_WRONG_VR: Final = "written with a VR that is not the attribute's"
_ILLEGAL: Final = "not a value that may be kept"
_DISBELIEVED: Final = {
    b"UI": Action.UID,
    **dict.fromkeys((b"CS", b"LO", b"LT", b"SH", b"ST", b"UC", b"UT"), Action.DUMMY),
}
"""What is done with a value that is not believed; of other VRs nothing is left but the attribute."""


class Where(NamedTuple):
    """What is special about the data set that an element stands in."""

    cleaned: bool = False
    """Inside a sequence that an option keeps cleaned."""
    members: frozenset[int] | None = None
    """The only attributes that may stand there, if not any may."""


TOP: Final = Where()


def step_of(tag: int, vr: bytes, profile: Profile, where: Where = TOP) -> Step:
    """What to do with a public element of this tag and written VR (b"" in implicit VR), or a private group's first.

    Dropped whatever the profile says: group lengths (they would be wrong); pixels elsewhere than where the file was
    split (nobody has looked at them), also in the retired groups 7Fxx, and tables of their offsets; and what is no
    member of a macro.
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
    if where.members is not None and tag not in where.members:
        return Step(tag, vr, StepKind.DROP, _NOT_A_MEMBER)
    if group >> 8 == 0x60 and profile.rule(_OVERLAY_DATA).action is Action.CLEAN:
        return Step(tag, vr, StepKind.OVERLAY, rule)
    return step_of_public(tag, vr, rule, profile, cleaned=where.cleaned)


def step_of_public(tag: int, vr: bytes, rule: Rule, profile: Profile, *, cleaned: bool = False) -> Step:
    """What a rule makes of a public element, whatever group it is in."""
    if vr in BLANK_VRS:
        return _restated(step_of_public(tag, b"UN", rule, profile, cleaned=cleaned), vr, vr_of(tag))
    known = vr_of(tag)
    if rule.action is Action.REMOVE:
        return Step(tag, vr, StepKind.DROP, rule)
    found = (known or b"UN") if vr in (b"", b"UN") else vr
    if known is not None and (known == b"SQ") != (found == b"SQ"):
        return Step(tag, vr, StepKind.DROP, NOT_LOOKED_INTO)
    # A pseudonym is text, a moved date a date: what is made anew has a VR that the dictionary allows.
    due = found if known is None or found in vrs_of(tag) else known
    if tag in CODE_TAGS and not rule.asked:
        return Step(tag, vr, StepKind.CODE, _CODE, vr=due)
    fallback = _FALLBACKS.get(basic().rule(tag).action, StepKind.EMPTY)
    if rule is UNNAMED and (tag == _TEXT_VALUE or (cleaned and known in _FREE_TEXTS)):
        # In content items and cleaned sequences anything may be said.
        cleans = "clean_descriptors" in profile.options
        rule = Rule(Action.CLEAN, "option clean_descriptors") if cleans else _FREE_TEXT
        fallback = StepKind.DUMMY
    if rule.action is Action.KEEP and due != found:
        return _disbelieved(tag, vr, due, _WRONG_VR)
    return _step(tag, vr, due, rule, fallback, profile)


def step_of_private(tag: int, vr: bytes, creator: str, profile: Profile) -> Step:
    """What to do with an element of this creator's block, under its own rule.

    The VR that is written has to be the one that PS3.15 lists, or one that tells nothing: only of what is listed does
    the standard say that it is safe.
    """
    rule, listed = profile.private_rule(creator, tag)
    if vr in BLANK_VRS:
        return _restated(step_of_private(tag, b"UN", creator, profile), vr, listed)
    found = (listed or b"UN") if vr in (b"", b"UN") else vr
    if listed and found != listed and rule.action is not Action.REMOVE:
        return Step(tag, vr, StepKind.DROP, NOT_LOOKED_INTO)
    if rule.action is Action.UID and found not in (b"UI", b"SQ"):
        return Step(tag, vr, StepKind.DROP, NOT_LOOKED_INTO)
    fallback = StepKind.DROP if rule.of_site else StepKind.DUMMY
    return _step(tag, vr, found, rule, fallback, profile)


def _restated(step: Step, written: bytes, due: bytes | None) -> Step:
    """The step for an element whose VR was left blank, from that for the same element as UN.

    Nothing of such an element is copied as it stands, and what would be gone into is dropped.
    """
    step.written = written
    step.holds_items_if_undefined = False
    if step.kind is StepKind.COPY:
        step.kind, step.vr = StepKind.RESTATE, due or b"UN"
    elif step.kind in (StepKind.ENTER, StepKind.CLEAN):
        step.kind, step.because = StepKind.DROP, NOT_LOOKED_INTO.because
    return step


def _step(tag: int, vr: bytes, due: bytes, rule: Rule, fallback: StepKind, profile: Profile) -> Step:
    """The step of the policy's table, or of the exceptions to it. `due` is the VR of what is made anew."""
    if rule.value is not None:
        written = StepKind.COARSER if rule.action is Action.CLEAN else StepKind.VALUE
        return Step(tag, vr, written, rule, vr=due, fallback=fallback)
    holds = _HOLDS.get(due, _Holds.OTHER)
    of = tag & 0xFF00FFFF if tag >> 24 == 0x60 else tag
    kind = _EXCEPTIONAL.get((of, rule.action), _KINDS[rule.action, holds])
    if kind is _AS_BASIC:
        return Step(tag, vr, fallback, rule, vr=due)
    if kind is StepKind.UID:
        return Step(tag, vr, kind, rule, vr=b"UI")
    made = Step(tag, vr, kind, rule, vr=due, fallback=fallback)
    if kind is StepKind.ENTER:
        made.members = members_of(tag)
    elif kind is StepKind.COPY:
        _check(made, due, rule, profile)
    elif kind is StepKind.TAGS:
        made.allows = partial(_remains, profile)
    return made


def _check(step: Step, vr: bytes, rule: Rule, profile: Profile) -> None:
    """Have a step copy only what may be kept."""
    tag = step.tag
    private = bool(tag >> 16 & 1)
    terms = frozenset(term.encode() for of, term in profile.terms if of == tag)
    # A UID is kept for what it names in the standard, if nobody asks for more.
    keeps = rule.keeps or (STANDARD_UID if vr == b"UI" and not rule.asked else "")
    if private and vr == b"CS" and not rule.of_site:
        keeps = OF_ANY
    step.check = check_of(None if private else tag, vr, keeps, terms)
    step.otherwise = _disbelieved(tag, step.written, vr, _ILLEGAL)
    if vr == b"CS" and not private and tag != _CHARACTER_SET:
        step.otherwise.kind = StepKind.TERMS
        step.otherwise.allow = partial(which_stay, tag, beside=terms)


def _disbelieved(tag: int, vr: bytes, due: bytes, because: str) -> Step:
    """What is done with a value that is not what the attribute holds."""
    action = Action.EMPTY if tag == _CHARACTER_SET else _DISBELIEVED.get(due, Action.EMPTY)
    kind = _KINDS[action, _HOLDS.get(due, _Holds.OTHER)]
    assert kind is not None
    return Step(tag, vr, kind, Rule(action, because), vr=due)


def _remains(profile: Profile, tag: int) -> bool:
    """Whether a file under this profile may have an attribute: a pointer to any other would tell what was there."""
    group = tag >> 16
    if group & 1 or not tag & 0xFFFF or vr_of(tag) is None:
        return False
    return tag in PIXEL_TAGS or profile.rule(tag).action is not Action.REMOVE
