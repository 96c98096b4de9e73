"""A step: what the copier does with every element that has one tag and one VR."""

from collections.abc import Callable
from enum import Enum, auto
from typing import Final

from mdm_async.dicom.dictionary import vr_of
from mdm_async.dicom.elements import PIXEL_TAGS
from mdm_async.dicom.pixels import faces, ultrasound
from mdm_async.dicom.pixels.description import FRAME_TYPE, watched
from mdm_async.dicom.profile import Rule
from mdm_async.dicom.scrubbing.believed import Check

SOP_INSTANCE: Final = 0x00080018
OWN_NUMBERS: Final = frozenset({0x00080050, 0x00100020, 0x00101000, 0x00200010, 0x00380010})
"""Accession Number, Patient ID, Other Patient IDs, Study ID, Admission ID."""


class StepKind(Enum):
    """What happens to an element's bytes."""

    COPY = auto()
    """Copied as it is if its value is what the attribute may hold; else `otherwise` is done."""
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
    """Another value, which the step has."""
    COARSER = auto()
    """A coarser value: the year of a date, the decade of an age."""
    SHIFT = auto()
    WORDS = auto()
    """Text of which only known words stay."""
    TERMS = auto()
    """Code strings of which only known terms stay."""
    TAGS = auto()
    """Tags of which those stay whose attributes do."""
    CODE = auto()
    """A part of a code, which is judged as a whole (`code_items`)."""
    PRIVATE = auto()
    """The first element of a private group, which is gone through as a whole."""
    OVERLAY = auto()
    """The first element of an overlay's group, which is gone through as a whole."""
    RESTATE = auto()
    """A value that is kept, of an element whose VR was left blank: it is written with the one that is due."""
    ITEM_END = auto()
    PADDING = auto()
    """Zeros up to the end of the file, which are left out."""


class Step:
    """What happens to every element of one tag and VR under one profile, and what says so."""

    __slots__ = (
        *(
            "allow",
            "allows",
            "because",
            "check",
            "fallback",
            "holds_items_if_undefined",
            "kind",
            "letter",
            "long",
        ),
        *("members", "names_people", "otherwise", "tag", "value", "vr", "watched"),
        *("watched_deep", "written"),
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
        self.check: Check | None = None
        """Whether a value may be copied; None where any may."""
        self.otherwise: Step | None = None
        """What is done with a value that may not."""
        self.allows: Callable[[int], bool] = bool
        """Of TAGS, whether one tag stays."""
        self.allow: Callable[[list[bytes]], list[bool]] | None = None
        """Of TERMS, which of the values stay."""
        self.members: frozenset[int] | None = None
        """Of a sequence that is kept for what its macro has: the attributes that may stand in its items."""
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
        self.holds_items_if_undefined = (
            kind is StepKind.COPY and written in (b"UN", b"SQ", b"") and vr_of(tag) is None
        )
        """Of undefined length it holds items, so it is gone into: of a private attribute nothing else says so."""
        self.long = False
        """Whether the header has 12 bytes; known to who has read one."""
