"""Rejection notes: Key Object Selections by which whoever sent instances takes them back (IHE RAD TF, Imaging Object
Change Management; PS3.3 §A.35.4, PS3.16 CID 7011)."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, Self

from mdm_async.dicom.elements import Encoding
from mdm_async.dicom.filemeta import read_meta, uid_text
from mdm_async.dicom.manifests.key_objects import CLASS
from mdm_async.dicom.sop_common import sop_common
from mdm_async.dicom.walking import items, walk
from mdm_async.errors import Malformed, NotDicom

QUALITY: Final = 113001
"""Such notes may be seen; the others hide themselves, too (IHE RAD TF-3 §4.66.4)."""
REASONS: Final = {
    QUALITY: "Rejected for Quality Reasons",
    113037: "Rejected for Patient Safety Reasons",
    113038: "Incorrect Modality Worklist Entry",
    113039: "Data Retention Policy Expired",
}
"""By the code of DCM that is a note's title."""
_TITLES: Final = {str(code).encode(): code for code in REASONS}
MOST: Final = 20_000
"""Instances that a note may name."""

_TITLE, _CODE, _SCHEME = 0x0040A043, 0x00080100, 0x00080102
_EVIDENCE, _SERIES, _INSTANCES, _INSTANCE = 0x0040A375, 0x00081115, 0x00081199, 0x00081155
_WAY: Final = (_EVIDENCE, _SERIES, _INSTANCES)


@dataclass(frozen=True, slots=True, repr=False)
class RejectionNote:
    """Why, by one of `REASONS`, and the SOP Instance UIDs of what it rejects."""

    code: int
    instances: frozenset[str]

    @classmethod
    def of(cls, head: bytes) -> Self | None:
        """What a file's head says as one; None when it is none, cannot be read, or names more than `MOST`."""
        try:
            if sop_common(head).sop_class != CLASS:
                return None
            meta = read_meta(head)
            code = _title(head, meta.end, len(head), meta.encoding)
            if code is None:
                return None
            instances: set[str] = set()
            for uid in _named(head, meta.end, len(head), meta.encoding, _WAY):
                instances.add(uid)
                if len(instances) > MOST:
                    return None
        except (Malformed, NotDicom):
            return None
        return cls(code, frozenset(instances))


def _title(data: bytes, at: int, end: int, encoding: Encoding) -> int | None:
    """The code of the document's title, if that is one of `REASONS`."""
    for element in walk(data, at, end, encoding, last=_TITLE):
        if element.tag == _TITLE:
            for item in items(data, element, encoding):
                said = {
                    one.tag: data[one.value : one.end].strip(b"\0 ")
                    for one in walk(data, item.start, item.end, item.encoding, last=_SCHEME)
                }
                return _TITLES.get(said.get(_CODE, b"")) if said.get(_SCHEME) == b"DCM" else None
    return None


def _named(data: bytes, at: int, end: int, encoding: Encoding, way: tuple[int, ...]) -> Iterator[str]:
    """The instances that sequences in sequences, whose tags are the way, lead to."""
    wanted = way[0] if way else _INSTANCE
    for element in walk(data, at, end, encoding, last=wanted):
        if element.tag != wanted:
            continue
        if not way:
            if uid := uid_text(data[element.value : element.end]):
                yield uid
            continue
        for item in items(data, element, encoding):
            yield from _named(data, item.start, item.end, item.encoding, way[1:])
