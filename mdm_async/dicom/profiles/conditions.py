"""Conditions on rules: `when = { Modality = "MR", ImageType = ["*SCREEN*", "*LOCALIZER*"] }`."""

import re
from collections.abc import Mapping, Set
from dataclasses import dataclass
from fnmatch import translate
from functools import lru_cache
from typing import Final

PIXEL_RULE_ATTRIBUTES: Final = {
    0x00080008: "ImageType",
    0x00080016: "SOPClassUID",
    0x00080060: "Modality",
    0x00080064: "ConversionType",
    0x00080070: "Manufacturer",
    0x00081010: "StationName",
    0x00081030: "StudyDescription",
    0x0008103E: "SeriesDescription",
    0x00081090: "ManufacturerModelName",
    0x00181000: "DeviceSerialNumber",
    0x00181020: "SoftwareVersions",
    0x00181030: "ProtocolName",
    0x00280004: "PhotometricInterpretation",
    0x00280010: "Rows",
    0x00280011: "Columns",
    0x00280301: "BurnedInAnnotation",
    0x00480010: "SpecimenLabelInImage",
}
"""What pixel rules may ask for: top-level attributes that tell devices, kinds of pictures and layouts apart."""

CONDITION_ATTRIBUTES: Final = PIXEL_RULE_ATTRIBUTES | {
    0x00080068: "PresentationIntentType",
    0x00080080: "InstitutionName",
    0x00180015: "BodyPartExamined",
    0x00200011: "SeriesNumber",
}
"""What conditions may ask for: top-level attributes that tell kinds of images apart, never patients."""

Readings = Mapping[int, Set[str]]
"""Every value that is there at top level, as text, by tag: an element may be there twice."""


@dataclass(frozen=True, slots=True, order=True)
class Condition:
    """What has to be so for a rule to be one."""

    asks: tuple[tuple[int, tuple[str, ...]], ...]
    """(tag, patterns as of fnmatch of which one must match, whatever the case), in ascending order of tags."""

    def holds(self, readings: Readings, *, letting_through: bool) -> bool:
        """Whether it holds however readers take the file, which a rule needs that lets something through; to take
        something away it is enough that one reader may take it so.
        """
        enough = all if letting_through else any
        return all(
            bool(readings.get(tag)) and enough(_matches(one, patterns) for one in readings[tag])
            for tag, patterns in self.asks
        )

    def __str__(self) -> str:
        """In words: "Modality MR, ImageType *SCREEN SAVE* or *LOCALIZER*"."""
        return ", ".join(
            f"{CONDITION_ATTRIBUTES[tag]} {' or '.join(patterns)}" for tag, patterns in self.asks
        )

    def is_narrower_than(self, other: "Condition") -> bool:
        """Whether it asks for all that the other does, and for more."""
        return set(self.asks) > set(other.asks)

    def excludes(self, other: "Condition") -> bool:
        """Whether no image can be meant by both, as far as words without * tell."""
        theirs = dict(other.asks)
        return any(
            tag in theirs and _are_words(mine + theirs[tag]) and not _folded(mine) & _folded(theirs[tag])
            for tag, mine in self.asks
        )


def _matches(text: str, patterns: tuple[str, ...]) -> bool:
    return _any_of(patterns).match(text.upper()) is not None


@lru_cache(maxsize=4096)
def _any_of(patterns: tuple[str, ...]) -> re.Pattern[str]:
    return re.compile("|".join(translate(pattern.upper()) for pattern in patterns))


def _are_words(patterns: tuple[str, ...]) -> bool:
    return not any(set(pattern) & set("*?[") for pattern in patterns)


def _folded(patterns: tuple[str, ...]) -> set[str]:
    return {pattern.upper() for pattern in patterns}
