"""The identifiers of C-FIND, C-GET and C-MOVE in the Study Root model (PS3.4 §C.4, §C.6.2). Pure."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from mdm_async.dicom.character_sets import NAME_PARTS, CharacterSet
from mdm_async.dicom.dictionary import vr_of
from mdm_async.dicom.elements import EXPLICIT_LITTLE, IMPLICIT_LITTLE
from mdm_async.dicom.encode import element
from mdm_async.dicom.indexed import Level, by_keyword
from mdm_async.dicom.walking import walk
from mdm_async.errors import BadQuery, Malformed, PeerFailed
from mdm_async.images.parts.pacs_source import PacsSource
from mdm_async.pacs.source import Said

Keys = Mapping[int, str]
"""What is asked for, by tag; an empty value asks to be told."""

FIND: Final = "1.2.840.10008.5.1.4.1.2.2.1"
MOVE: Final = "1.2.840.10008.5.1.4.1.2.2.2"
GET: Final = "1.2.840.10008.5.1.4.1.2.2.3"
"""The classes of the Study Root model (PS3.4 §C.6.2.3)."""
ENCODINGS: Final = {"1.2.840.10008.1.2.1": EXPLICIT_LITTLE, "1.2.840.10008.1.2": IMPLICIT_LITTLE}
"""By the transfer syntaxes in which identifiers are written."""

_LEVEL, _CHARACTER_SET, _UTF_8 = 0x00080052, 0x00080005, "ISO_IR 192"
_MODALITIES: Final = 0x00080061
STUDY, SERIES, INSTANCE, CLASS, MODALITY = 0x0020000D, 0x0020000E, 0x00080018, 0x00080016, 0x00080060
_OF_STUDIES: Final = (
    STUDY,
    0x00080020,  # Study Date
    0x00080030,  # Study Time
    0x00080050,  # Accession Number
    _MODALITIES,
    0x00080090,  # Referring Physician's Name
    0x00081030,  # Study Description
    0x00100010,  # Patient's Name
    0x00100020,  # Patient ID
    0x00100021,  # Issuer of Patient ID
    0x00100030,  # Patient's Birth Date
    0x00100040,  # Patient's Sex
    0x00200010,  # Study ID
)
_OF_SERIES: Final = (SERIES, MODALITY, 0x0008103E, 0x00200011)
_OF_INSTANCES: Final = (INSTANCE, CLASS, 0x00200013)
"""As QIDO-RS tells them unasked (PS3.18 §10.6.3): archives have these at hand, and read files for others. And who has
issued the Patient ID, without which two patients look like one."""
_MOST: Final = 1024
"""Characters of a value; a longer one is left out."""


def studies(matching: Sequence[tuple[str, str]]) -> Keys:
    """Raises BadQuery for what studies are not asked for by."""
    keys = dict.fromkeys(_OF_STUDIES, "")
    for keyword, value in matching:
        row = by_keyword().get(keyword)
        if keyword == "ModalitiesInStudy":
            keys[_MODALITIES] = value
        elif row is not None and row.level in (Level.PATIENT, Level.STUDY):
            keys[row.tag] = value
        else:
            raise BadQuery(
                f"archives that speak DIMSE are not asked for {keyword}",
                remedy="ask for Modality, and for attributes of patients and studies",
            )
    return keys


def series(study: str, modality: str | None) -> Keys:
    return dict.fromkeys(_OF_SERIES, "") | {STUDY: study, MODALITY: modality or ""}


def instances(study: str, of: str) -> Keys:
    return dict.fromkeys(_OF_INSTANCES, "") | {STUDY: study, SERIES: of}


def one_instance(source: PacsSource) -> Keys:
    return {STUDY: source.study, SERIES: source.series, INSTANCE: source.instance}


def one_series(source: PacsSource) -> Keys:
    return {STUDY: source.study, SERIES: source.series}


def of_instance(source: PacsSource, syntax: str) -> bytes:
    """What one instance is retrieved by."""
    return encoded("IMAGE", one_instance(source), syntax)


def encoded(level: str, keys: Keys, syntax: str) -> bytes:
    """`level`: STUDY, SERIES or IMAGE."""
    said = {**keys, _LEVEL: level}
    if not all(value.isascii() for value in said.values()):
        said[_CHARACTER_SET] = _UTF_8
    return b"".join(
        element(tag, vr_of(tag) or b"UN", value.encode(), ENCODINGS[syntax])
        for tag, value in sorted(said.items())
    )


def decoded(data: bytes, asked: Iterable[int], syntax: str) -> Said:
    """What is said of that which was asked for. Raises PeerFailed."""
    wanted, found, characters = frozenset(asked), dict[str, Any](), CharacterSet()
    try:
        for one in walk(data, 0, len(data), ENCODINGS[syntax]):
            value = data[one.value : one.value + one.length]
            if one.tag == _CHARACTER_SET:
                characters = CharacterSet(value)
            elif (
                one.tag in wanted and len(value) <= 4 * _MOST and (text := characters.text(value, NAME_PARTS))
            ):
                found[f"{one.tag:08X}"] = {"Value": [text]}
    except Malformed:
        raise PeerFailed("the archive's answer to a query is malformed") from None
    return found
