"""What an archive says of an instance in the DICOM JSON model (PS3.18 §F.2), taken for the beginning of a file.

Of what it says only the attributes count that are indexed (`indexed.csv`) and are text; all else is left out.
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

from mdm_async.dicom.dictionary import vr_of
from mdm_async.dicom.elements import EXPLICIT_LITTLE
from mdm_async.dicom.encode import element, preamble_and_meta
from mdm_async.dicom.indexed import indexed
from mdm_async.errors import Malformed

EXPLICIT_VR_LITTLE_ENDIAN: Final = b"1.2.840.10008.1.2.1"
_BEHIND_META: Final = 0x00030000
_CHARACTER_SET, _UTF_8 = 0x00080005, b"ISO_IR 192"
_SOP_CLASS, _SOP_INSTANCE = 0x00080016, 0x00080018
_STUDY, _SERIES, _MODALITY = 0x0020000D, 0x0020000E, 0x00080060
_INSTANCES_IN_STUDY: Final = 0x00201208
_TEXTS: Final = frozenset(b"AE AS CS DA DT IS DS LO LT PN SH ST TM UC UI UT".split())
_MOST: Final = 1024
"""Characters of a value; a longer one is left out."""


def study_uid(said: Mapping[str, Any]) -> str:
    """Empty where it says none."""
    return _text(said, _STUDY)


def series_uid(said: Mapping[str, Any]) -> str:
    return _text(said, _SERIES)


def instance_uid(said: Mapping[str, Any]) -> str:
    return _text(said, _SOP_INSTANCE)


def class_uid(said: Mapping[str, Any]) -> str:
    return _text(said, _SOP_CLASS)


def instances_in(said: Mapping[str, Any]) -> int | None:
    """How many instances a study has; None where that is not said."""
    text = _text(said, _INSTANCES_IN_STUDY)
    return int(text) if text.isdecimal() else None


def modality(said: Mapping[str, Any]) -> str:
    return _text(said, _MODALITY)


def shown(said: Mapping[str, Any]) -> dict[str, str]:
    """By keyword, for people who may identify the patient."""
    return {
        row.keyword: text
        for tag, row in indexed().items()
        if vr_of(tag) in _TEXTS and (text := _text(said, tag))
    }


def head_of(*said: Mapping[str, Any]) -> bytes:
    """Preamble, file meta information and attributes; of what several say, what the last says. Raises Malformed.

    An archive need not tell the class of an instance (PS3.4 table C.6-4).
    """
    values: dict[int, str] = {}
    for one in said:
        values |= {
            tag: text
            for tag in indexed()
            if tag >= _BEHIND_META and vr_of(tag) in _TEXTS and (text := _text(one, tag))
        }
    sop_class, instance = values.get(_SOP_CLASS, ""), values.get(_SOP_INSTANCE, "")
    if not instance:
        raise Malformed("the archive names an instance without its UID")
    elements = {tag: value.encode() for tag, value in values.items()} | {_CHARACTER_SET: _UTF_8}
    body = b"".join(
        element(tag, vr_of(tag) or b"UN", elements[tag], EXPLICIT_LITTLE) for tag in sorted(elements)
    )
    return preamble_and_meta(sop_class.encode(), instance.encode(), EXPLICIT_VR_LITTLE_ENDIAN) + body


def _text(said: Mapping[str, Any], tag: int) -> str:
    held = said.get(f"{tag:08X}")
    values = held.get("Value") if isinstance(held, Mapping) else None
    if not isinstance(values, list):
        return ""
    text = "\\".join(_texts(values))
    return text if len(text) <= _MOST and text.isprintable() else ""


def _texts(values: Iterable[Any]) -> Iterator[str]:
    for one in values:
        if isinstance(one, Mapping):  # a person's name, by its ways to be written
            groups = [one.get(group) for group in ("Alphabetic", "Ideographic", "Phonetic")]
            yield "=".join(group if isinstance(group, str) else "" for group in groups).rstrip("=")
        elif isinstance(one, str):
            yield one.strip("\0 ")
        elif isinstance(one, int | float) and not isinstance(one, bool):
            yield f"{one:g}" if isinstance(one, float) else str(one)
