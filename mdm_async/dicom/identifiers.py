"""A file's own identifiers: those that link it with others of its patient, and those that no name may reveal."""

import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from pydicom.valuerep import TEXT_VR_DELIMS

from mdm_async.dicom.character_sets import CharacterSet
from mdm_async.dicom.elements import Encoding
from mdm_async.dicom.filemeta import read_meta
from mdm_async.dicom.said import SEPARATORS, fold, without_capitals
from mdm_async.dicom.walking import MAX_DEPTH, items, walk
from mdm_async.errors import Malformed, TooLarge

LINKING: Final = {
    0x00080018: "SOPInstanceUID",
    0x00080050: "AccessionNumber",
    0x00100020: "PatientID",
    0x0020000D: "StudyInstanceUID",
    0x0020000E: "SeriesInstanceUID",
    0x00200010: "StudyID",
    0x00200052: "FrameOfReferenceUID",
}
"""What links images of one patient, order, study or series: in an original, or as pseudonyms in a view."""
_LAST_LINKING: Final = max(LINKING)

_CHARACTER_SET, _OTHER_IDS_SEQUENCE = 0x00080005, 0x00101002
_PATIENT_ID, _BIRTH_DATE = 0x00100020, 0x00100030
_NAME: Final = 0x00100010
_NAMES: Final = frozenset({_NAME, 0x00101001, 0x00101005, 0x00101060})
"""Patient's Name, Other Patient Names, Patient's Birth Name, Patient's Mother's Birth Name."""
_NUMBERS: Final = frozenset({_PATIENT_ID, 0x00101000, 0x00080050})
"""Patient ID, Other Patient IDs, Accession Number."""
_TEXTS: Final = _NAMES | _NUMBERS | {_BIRTH_DATE, _CHARACTER_SET}
_LAST: Final = 0x00101060

_SAY_NOTHING: Final = frozenset(
    {"anon", "anonym", "anonymised", "anonymized", "anonymous", "deidentified", "dicom", "example", "first"}
    | {"firstname", "image", "last", "lastname", "name", "noname", "none", "patient", "phantom", "removed"}
    | {"sample", "study", "subject", "test", "unknown"}
)
"""What stands where nobody is named; such a word in a file's name reveals nobody."""

_MOST: Final = 1 << 16
"""Bytes that may name a file's patient, each element and item of a sequence counted as `_ELEMENT` more: else whoever
uploads a few such files keeps all cores busy with words, and others wait."""
_ELEMENT: Final = 8

_VALUES: Final = frozenset(TEXT_VR_DELIMS)
_NAME_PARTS: Final = _VALUES | {ord("^"), ord("=")}


def linking_values(head: bytes) -> dict[str, str]:
    """Keyword and text of those top-level attributes of `LINKING` that are not empty. Raises Malformed.

    By the data set's character set: so one patient has one ID in whichever it is written.
    """
    meta = read_meta(head)
    charset = CharacterSet()
    found: dict[str, str] = {}
    for element in walk(head, meta.end, len(head), meta.encoding):
        if element.tag > _LAST_LINKING:
            break
        value = head[element.value : element.value + element.length]
        if element.tag == _CHARACTER_SET:
            charset = CharacterSet(value)
        elif element.tag in LINKING and (text := charset.text(value, _VALUES)):
            found[LINKING[element.tag]] = unicodedata.normalize("NFC", text)
    return found


@dataclass(frozen=True, slots=True)
class Patient:
    """Whom a file is of. `values`: its own identifiers, comparable; `key`: what its patient's other files say too."""

    values: frozenset[str]
    key: frozenset[str]


def identifying_values(head: bytes) -> frozenset[str]:
    """The file's own identifiers worth guarding names against, comparable as `Said` is: letters and digits only.

    They are words of the patient's names in every script they are written in, patient IDs, accession number (of 3
    characters or more, 2 where a script has no capitals, as those of East Asia), and the birth date in its usual
    orders. `head` as `part10` found it. Raises Malformed, and TooLarge when they are more than any patient has.
    """
    return patient_of(head).values


def patient_of(head: bytes) -> Patient:
    """Patients are told apart by their Patient ID and birth date, by their names where they have no ID: the accession
    number is the study's, and names are spelt in many ways. Raises as `identifying_values`."""
    meta = read_meta(head)
    found = list(_of_patient(head, meta.end, len(head), meta.encoding, CharacterSet(), _Work()))
    values = frozenset(one for _, one in found if _long_enough(one) and one not in _SAY_NOTHING)
    ids = {one for tag, one in found if tag == _PATIENT_ID and one and one not in _SAY_NOTHING}
    ids = ids or {one for tag, one in found if tag == _NAME and one in values}
    born = {one for tag, one in found if tag == _BIRTH_DATE}
    return Patient(values, frozenset(ids | born) if ids else values)


class _Work:
    """What has been looked at."""

    def __init__(self) -> None:
        self._left = _MOST

    def add(self, size: int) -> None:
        self._left -= size
        if self._left < 0:
            raise TooLarge(
                f"the file names its patient in more than {_MOST} bytes, so its name cannot be checked",
                remedy="look at the names and IDs of its patient (0010,xxxx)",
            )


def _of_patient(
    data: bytes, at: int, end: int, encoding: Encoding, charset: CharacterSet, work: _Work, depth: int = 0
) -> Iterator[tuple[int, str]]:
    """Each with its attribute; 0 for those of sequences."""
    if depth > MAX_DEPTH:
        raise Malformed(f"sequences are nested deeper than {MAX_DEPTH} levels at byte {at}")
    for element in walk(data, at, end, encoding):
        if element.tag > _LAST:
            return
        if depth:
            work.add(_ELEMENT)
        if element.tag in _TEXTS:
            work.add(element.length)
        elif element.tag != _OTHER_IDS_SEQUENCE:
            continue
        value = data[element.value : element.value + element.length]
        whose = 0 if depth else element.tag
        if element.tag == _CHARACTER_SET:
            charset = CharacterSet(value)
        elif element.tag in _NAMES:
            for one in _words(charset.text(value, _NAME_PARTS)):
                yield whose, one
        elif element.tag in _NUMBERS:
            for one in charset.text(value, _VALUES).split("\\"):
                yield whose, _bare(one)
        elif element.tag == _BIRTH_DATE:
            for one in _dates(_bare(value.decode("ascii", "replace"))):
                yield whose, one
        elif element.vr in (b"", b"SQ", b"UN"):
            for item in items(data, element, encoding):
                work.add(_ELEMENT)
                yield from _of_patient(data, item.start, item.end, item.encoding, charset, work, depth + 1)


def _words(names: str) -> Iterator[str]:
    yield from SEPARATORS.split(fold(names))


def _dates(date: str) -> Iterator[str]:
    """YYYYMMDD, and as people write it: DDMMYYYY, MMDDYYYY."""
    if len(date) == 8 and date.isdecimal():
        year, month, day = date[:4], date[4:6], date[6:]
        yield from (date, day + month + year, month + day + year)


def _long_enough(one: str) -> bool:
    return len(one) >= 3 or (len(one) == 2 and without_capitals(one))


def _bare(text: str) -> str:
    return SEPARATORS.sub("", fold(text))
