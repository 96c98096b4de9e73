"""Names for a research project's entries, made of keyed pseudonyms, and of the mapping's subjects."""

import re
from collections.abc import Container
from typing import Final

from mdm_async.dicom.pseudonym import Pseudonyms
from mdm_async.errors import BadRequest

DEFAULT: Final = "{patient}/{study}/{series}/{instance}.dcm"

_FIELDS: Final = {
    "patient": "PatientID",
    "study": "StudyInstanceUID",
    "series": "SeriesInstanceUID",
    "instance": "SOPInstanceUID",
    "accession": "AccessionNumber",
    "subject": "PatientID",
}
_FIELD: Final = re.compile(r"\{([^{}]*)\}")
_LITERAL: Final = re.compile(r"[A-Za-z0-9._/-]*")


class PathTemplate:
    """A relative path with fields in braces: patient, study, series, instance, accession, subject.

    Raises BadRequest when it names another field, lacks {instance} (names would collide), or leads elsewhere.
    """

    def __init__(self, text: str) -> None:
        self._text = text
        fields = _FIELD.findall(text)
        if not set(fields) <= _FIELDS.keys():
            raise BadRequest(
                "the path template has a field that does not exist",
                remedy=f"fields are {', '.join(_FIELDS)}, in braces",
            )
        if "instance" not in fields:
            raise BadRequest("the path template lacks {instance}, so names would collide")
        literal = _FIELD.sub("x", text)
        if not _LITERAL.fullmatch(literal) or any(part in ("", ".", "..") for part in literal.split("/")):
            raise BadRequest(
                "the path template is no relative path of plain names",
                remedy="use letters, digits, '.', '_', '-' and '/' around the fields",
            )

    @property
    def names_subject(self) -> bool:
        """Whether it needs the project's mapping."""
        return "subject" in _FIELD.findall(self._text)

    def fill(self, values: dict[str, str], key: bytes, subjects: Container[str] = ()) -> str:
        """The path of one image: `values` as `linking_values` of its de-identified head, keyed once more.

        So a profile that retains UIDs or identifiers puts none of them into a name. Only the `subjects` of a mapping
        are named as they are; who is not mapped has the name that {patient} has.
        """

        def one(match: re.Match[str]) -> str:
            field, value = match[1], values.get(_FIELDS[match[1]], "")
            if field == "subject":
                if value in subjects:
                    return value
                field = "patient"
            return pseudonym(field, value, key)

        return _FIELD.sub(one, self._text)

    def said(self, values: dict[str, str], subjects: Container[str]) -> str:
        """What of the path people have chosen: all but keyed pseudonyms, which tell nothing."""

        def one(match: re.Match[str]) -> str:
            value = values.get(_FIELDS[match[1]], "")
            return value if match[1] == "subject" and value in subjects else "-"

        return _FIELD.sub(one, self._text)


def pseudonym(field: str, value: str, key: bytes) -> str:
    """What stands for the value of a field that names nobody as they are."""
    return Pseudonyms(key).identifier(f"path {field}", value.encode()).decode() or "none"
