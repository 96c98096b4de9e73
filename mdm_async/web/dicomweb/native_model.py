"""Data sets in the Native DICOM Model, which is XML (PS3.19 §A.1): made of the DICOM JSON model, without bulk data,
persons or binary values."""

from collections.abc import Mapping
from typing import Any, Final
from xml.sax.saxutils import escape

from mdm_async.dicom.dictionary import keyword_of

_NAMESPACE: Final = "http://dicom.nema.org/PS3.19/models/NativeDICOM"


def native(model: Mapping[str, Any]) -> bytes:
    """A document. `model`: attributes by tag, whose values are texts, numbers and items."""
    return (
        '<?xml version="1.0" encoding="UTF-8"?>'
        f'<NativeDicomModel xmlns="{_NAMESPACE}" xml:space="preserve">{_attributes(model)}</NativeDicomModel>'
    ).encode()


def _attributes(model: Mapping[str, Any]) -> str:
    return "".join(
        f'<DicomAttribute tag="{tag}" vr="{said["vr"]}" keyword="{keyword_of(tag)}">'
        f"{_values(said)}</DicomAttribute>"
        for tag, said in sorted(model.items())
    )


def _values(said: Mapping[str, Any]) -> str:
    if said["vr"] == "SQ":
        items = enumerate(said["Value"], 1)
        return "".join(f'<Item number="{place}">{_attributes(one)}</Item>' for place, one in items)
    values = enumerate(said["Value"], 1)
    return "".join(f'<Value number="{place}">{_text(one)}</Value>' for place, one in values)


def _text(value: object) -> str:
    """What a broken file says may hold what XML cannot."""
    return escape("".join(one for one in str(value) if one.isprintable()))
