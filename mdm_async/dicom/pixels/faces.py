"""Whether slices show a face, which can be recognised once they are put together: judged by what a file says of them.

Where a scan reaches is not measured. Words for heads, in several languages, and codes are those of heads.csv.
"""

import csv
import re
from collections.abc import Iterator, Mapping
from fnmatch import translate
from functools import cache
from importlib import resources
from typing import Final

from mdm_async.dicom.elements import Buffer, Encoding
from mdm_async.dicom.pixels.description import RECOGNIZABLE, Description
from mdm_async.dicom.profiles.keywords import tag_of
from mdm_async.dicom.walking import Element, items, walk
from mdm_async.errors import Malformed

ANATOMY: Final = 0x00082218
"""Anatomic Region Sequence; in functional groups too."""
_CODE_VALUE: Final = 0x00080100
_MODALITY, _BODY_PART = 0x00080060, 0x00180015
_DESCRIPTIONS: Final = (0x00081030, 0x0008103E, 0x00181030)
"""Study Description, Series Description, Protocol Name."""
_STORAGE: Final = "1.2.840.10008.5.1.4.1.1."
_VOLUMES: Final = frozenset(_STORAGE + one for one in ("2", "4", "13.1.1", "13.1.2"))
_STEMS: Final = tuple(_STORAGE + one for one in ("2.", "4."))
_MOST: Final = 64
"""Codes of one sequence."""


def seen(about: Description, classes: set[str], *, frames: bool = True) -> str | None:
    """What tells that the picture shows a face, in words; None when nothing does, or the file says that none shows.

    Only of slices of CT and MR, and of other volumes of heads. `frames`: what functional groups tell counts too.
    """
    recognizable = about.texts(RECOGNIZABLE)
    if "YES" in recognizable:
        return "RecognizableVisualFeatures"
    if recognizable == {"NO"} or not _is_volume(about, classes):
        return None
    if any(map(_heads()[_BODY_PART].match, about.texts(_BODY_PART))):
        return "BodyPartExamined"
    if any(map(_heads()[ANATOMY].match, about.anatomy | (about.frame_anatomy if frames else set()))):
        return "AnatomicRegionSequence"
    for tag, keyword in zip(
        _DESCRIPTIONS, ("StudyDescription", "SeriesDescription", "ProtocolName"), strict=True
    ):
        words = (word for reading in about.readings(tag) for word in re.split(r"[\W\d_]+", reading))
        if any(map(_heads()[_DESCRIPTIONS[1]].match, words)):
            return keyword
    return None


def codes(data: Buffer, sequence: Element, encoding: Encoding) -> Iterator[str]:
    """The code values of an Anatomic Region Sequence, as far as it can be understood."""
    try:
        for number, item in enumerate(items(data, sequence, encoding)):
            if number >= _MOST:
                return
            for element in walk(data, item.start, item.end, item.encoding):
                if element.tag == _CODE_VALUE:
                    value = bytes(data[element.value : element.value + min(element.length, 16)])
                    yield value.decode("ascii", "replace").strip("\0 ")
    except Malformed:
        return


def _is_volume(about: Description, classes: set[str]) -> bool:
    of_class = any(one in _VOLUMES or one.startswith(_STEMS) for one in classes)
    return of_class or bool(about.texts(_MODALITY) & {"CT", "MR"})


@cache
def _heads() -> Mapping[int, re.Pattern[str]]:
    """By attribute, what means a head; words for all descriptions under Series Description."""
    by_tag: dict[int, list[str]] = {}
    text = (resources.files("mdm_async.dicom.tables") / "heads.csv").read_text(encoding="utf-8")
    for row in csv.DictReader(text.splitlines()):
        tag = tag_of(row["attribute"])
        assert tag is not None, row["attribute"]
        by_tag.setdefault(tag, []).append(translate(row["value"]))
    return {tag: re.compile("|".join(patterns), re.IGNORECASE) for tag, patterns in by_tag.items()}
