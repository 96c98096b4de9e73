"""Whether text may be burned into a picture: judged by all that a file says of where its picture comes from."""

from collections.abc import Iterator, Sequence
from typing import Final

from mdm_async.dicom.pixels import ultrasound
from mdm_async.dicom.pixels.burned_in_table import judgements
from mdm_async.dicom.pixels.description import (
    BURNED_IN,
    FRAME_TYPE,
    IMAGE_TYPE,
    SOP_CLASS,
    Description,
)
from mdm_async.dicom.pixels.plan import PixelPlan
from mdm_async.dicom.profiles.keywords import keyword_of
from mdm_async.dicom.profiles.kinds import Kind, named

_BY_RULE: Final = "a pixel rule of the profile can blank or trust this device"


def reasons(about: Description, classes: set[str], *, pixels: bool) -> Iterator[str]:
    """Why the picture may show text that identifies; nothing when the file tells of an acquisition, or says NO.

    `classes` are those of meta and data set. Without `pixels` only what is known for its text counts.
    """
    said = about.texts(BURNED_IN)
    if "YES" in said:
        yield f"Burned In Annotation is YES ({_BY_RULE})"
    if said == {"NO"}:
        return
    if said - {"YES", "NO", ""}:
        yield f"Burned In Annotation says neither YES nor NO ({_BY_RULE})"
    by_attribute: dict[str, list[str]] = {}
    for keyword, what in _signs(about, classes, pixels=pixels):
        by_attribute.setdefault(keyword, []).append(what)
    if by_attribute:
        # What is known of a whole class needs no further evidence.
        of_class = by_attribute.get(keyword_of(SOP_CLASS))
        told = of_class or [f"{' and '.join(whats)} ({keyword})" for keyword, whats in by_attribute.items()]
        yield f"{', '.join(dict.fromkeys(told))} without Burned In Annotation NO ({_BY_RULE})"


def of_kinds(about: Description, classes: set[str], plan: PixelPlan, kinds: Sequence[Kind]) -> Iterator[str]:
    """Why a picture of a known kind shows who the patient is, whatever Burned In Annotation says."""
    found: dict[str, set[str]] = {}
    tags = {tag for kind in kinds for tag in kind.tags}
    for tag in sorted(tags | ({FRAME_TYPE} if IMAGE_TYPE in tags else set())):
        if about.cut(tag):
            yield f"what is too long to be judged ({keyword_of(tag)})"
    readings = {tag: _readings(about, tag) for tag in tags} | {SOP_CLASS: classes}
    for kind in named(readings, kinds):
        if not plan.settles(kind):
            found.setdefault(kind.name, set()).update(map(keyword_of, kind.tags))
    for name, keywords in found.items():
        by = ", ".join(sorted(keywords))
        yield f"{name} (a known kind, by {by}: only a pixel rule that asks for the same settles it)"


def _signs(about: Description, classes: set[str], *, pixels: bool) -> Iterator[tuple[str, str]]:
    """(the attribute that tells, what the picture may be)."""
    for tag, judgement in judgements().items():
        for value in sorted(classes if tag == SOP_CLASS else _values(about, tag)):
            row = judgement.of(value)
            if row is None or row.passes or (row.unless_class and classes == {row.unless_class}):
                continue
            if pixels or (tag == SOP_CLASS and row.known):
                yield keyword_of(tag), row.what
    if pixels and about.ultrasound_regions:
        yield keyword_of(ultrasound.REGIONS), "ultrasound"
    if pixels:
        for tag in judgements():
            if about.cut(tag) or (tag == IMAGE_TYPE and about.cut(FRAME_TYPE)):
                yield keyword_of(tag), "what is too long to be judged"


def _values(about: Description, tag: int) -> set[str]:
    """Each value of a multi-valued attribute, of every element of it, in capitals."""
    wholes = about.texts(tag) | (about.texts(FRAME_TYPE) if tag == IMAGE_TYPE else set())
    return {one.strip() for whole in wholes for one in whole.split("\\")} - {""}


def _readings(about: Description, tag: int) -> set[str]:
    """Each value as people write it, and all of them as they stand."""
    wholes = about.readings(tag) | (about.readings(FRAME_TYPE) if tag == IMAGE_TYPE else set())
    return wholes | {one.strip() for whole in wholes for one in whole.split("\\")}
