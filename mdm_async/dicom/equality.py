"""When two values of an attribute are the same for who looks for an original by it."""

import unicodedata
from collections.abc import Iterator

from mdm_async.dicom.attributes import Value, Values
from mdm_async.dicom.indexed import Indexed, Kind, by_keyword


def comparable(attribute: Indexed, value: Value) -> str:
    """A value as it is compared: two that are equal so are the same one.

    Texts and names without regard to case, numbers by what they are, dates without dots.
    """
    if attribute.kind is Kind.NUMBER:
        return repr(float(value) + 0.0)  # -0 is 0
    text = str(value).strip()
    if attribute.kind is Kind.DATE:
        return text.replace(".", "")
    if attribute.kind is Kind.UID:
        return text
    folded = unicodedata.normalize("NFC", unicodedata.normalize("NFC", text).casefold())
    return folded.rstrip("^= ") if attribute.kind is Kind.NAME else folded


def found_by(said: Values) -> Iterator[tuple[int, str]]:
    """(tag, comparable value) of all by which an original is found: a name by each of its groups, too."""
    for keyword, values in said.items():
        attribute = by_keyword()[keyword]
        if attribute.blind:
            for each in {one for value in values for one in _groups(attribute, value)}:
                if each:
                    yield attribute.tag, each


def _groups(attribute: Indexed, value: Value) -> Iterator[str]:
    yield comparable(attribute, value)
    if attribute.kind is Kind.NAME:
        for group in str(value).split("="):
            yield comparable(attribute, group)
