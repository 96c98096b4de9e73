"""A file's own identifiers: those that link it with others of its patient, and those that no name may reveal."""

import re
import unicodedata
from collections.abc import Iterator
from typing import Final

from pydicom.valuerep import TEXT_VR_DELIMS

from mdm_async.dicom.character_sets import CharacterSet
from mdm_async.dicom.elements import Encoding
from mdm_async.dicom.filemeta import read_meta
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
_NAMES: Final = frozenset({0x00100010, 0x00101001, 0x00101005, 0x00101060})
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
_SEPARATORS: Final = re.compile(r"[\W_]+")
_BORDERS: Final = re.compile(r"(?<=\d)(?=[^\W\d_])|(?<=[^\W\d_])(?=\d)")


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


def identifying_values(head: bytes) -> frozenset[str]:
    """The file's own identifiers worth guarding names against, comparable: casefolded, NFC, letters and digits only.

    They are words of the patient's names in every script they are written in, patient IDs, accession number (of 3
    characters or more, 2 where a script has no capitals, as those of East Asia), and the birth date in its usual
    orders. `head` as `part10` found it. Raises Malformed, and TooLarge when they are more than any patient has.
    """
    meta = read_meta(head)
    found = set(_of_patient(head, meta.end, len(head), meta.encoding, CharacterSet(), _Work()))
    return frozenset(one for one in found if _long_enough(one) and one not in _SAY_NOTHING)


def names_reveal(lfn: str, identifiers: frozenset[str]) -> bool:
    """Whether a name that a user typed holds one of `identifying_values`.

    Names are compared casefolded, NFC and without separators, so that `Mueller_Hans` and `mueller/hans` are found. The
    shorter an identifier, the more it must stand alone, lest `CT1` be found everywhere:
    - 6 characters or more, 2 in scripts without capitals: anywhere in the name;
    - 4 or 5: as one word or several adjacent ones of a path segment, words ending at separators and between letters
      and digits ("meier" in `Meier2019.dcm`, "1ct1" in `1-CT-1`, not "1234" in `img12345`);
    - 3: as a whole word between separators, and only if all letters ("kim" in `kim/scan.dcm`).
    """
    folded = _fold(lfn)
    whole = [word for word in _SEPARATORS.split(folded) if word]
    runs = {run for segment in folded.split("/") for run in _runs(segment)}
    joined = "".join(whole)
    for one in identifiers:
        if len(one) >= 6 or _without_capitals(one):
            found = one in joined
        elif len(one) >= 4:
            found = one in runs
        else:
            found = one.isalpha() and one in whole
        if found:
            return True
    return False


def _runs(segment: str) -> Iterator[str]:
    """Every run of up to five adjacent words."""
    words = [word for long in _SEPARATORS.split(segment) if long for word in _BORDERS.split(long)]
    for start in range(len(words)):
        for end in range(start + 1, start + 6):
            yield "".join(words[start:end])


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
) -> Iterator[str]:
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
        if element.tag == _CHARACTER_SET:
            charset = CharacterSet(value)
        elif element.tag in _NAMES:
            yield from _words(charset.text(value, _NAME_PARTS))
        elif element.tag in _NUMBERS:
            for one in charset.text(value, _VALUES).split("\\"):
                yield _bare(one)
        elif element.tag == _BIRTH_DATE:
            yield from _dates(_bare(value.decode("ascii", "replace")))
        elif element.vr in (b"", b"SQ", b"UN"):
            for item in items(data, element, encoding):
                work.add(_ELEMENT)
                yield from _of_patient(data, item.start, item.end, item.encoding, charset, work, depth + 1)


def _words(names: str) -> Iterator[str]:
    yield from _SEPARATORS.split(_fold(names))


def _dates(date: str) -> Iterator[str]:
    """YYYYMMDD, and as people write it: DDMMYYYY, MMDDYYYY."""
    if len(date) == 8 and date.isdecimal():
        year, month, day = date[:4], date[4:6], date[6:]
        yield from (date, day + month + year, month + day + year)


def _long_enough(one: str) -> bool:
    return len(one) >= 3 or (len(one) == 2 and _without_capitals(one))


def _without_capitals(one: str) -> bool:
    return one.isalpha() and one.upper() == one


def _bare(text: str) -> str:
    return _SEPARATORS.sub("", _fold(text))


def _fold(text: str) -> str:
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", text).casefold())
