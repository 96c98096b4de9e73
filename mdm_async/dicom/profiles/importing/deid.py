"""Recipes of `deid` (pydicom): what becomes of which attribute, where text is burned in, which images are not served.

    %header                                  %filter graylist
    REMOVE startswith:Patient                LABEL ACME dose pages
    KEEP PatientSex                            contains Manufacturer ACME
                                               + equals Rows 512
                                               coordinates 0,0,512,80      (left, top, right, bottom)

An image of a filter without coordinates is one that deid leaves out if the filter is a blacklist.
"""

import re
from dataclasses import dataclass, field
from typing import Final

from mdm_async.dicom.profile import PixelRule, Profile, Region
from mdm_async.dicom.profiles.conditions import PIXEL_RULE_ATTRIBUTES, Condition
from mdm_async.dicom.profiles.importing.asks import (
    All,
    Ask,
    Untranslatable,
    both,
    containing,
    expression,
    tag_asked,
    when,
)
from mdm_async.dicom.profiles.importing.headers import Headers
from mdm_async.dicom.profiles.importing.imported import Imported, Untranslated
from mdm_async.dicom.profiles.keywords import keyword_of
from mdm_async.dicom.profiles.precedence import Drop

_ACTIONS: Final = ("ADD", "BLANK", "KEEP", "REPLACE", "REMOVE", "JITTER")
_IMAGE_TYPE: Final = 0x00080008
_COORDINATES: Final = ("coordinates", "ctpcoordinates")
_LEFT_OUT: Final = ("blacklist", "denylist")
_LONGEST_REASON: Final = 64
_MOST_DROPS: Final = 64

_Check = list[tuple[int, str]]
"""Lines with their numbers."""


def read_deid(text: str, name: str) -> Imported:
    """The header rules and filters of a recipe."""
    untranslated: list[Untranslated] = []
    headers = Headers(untranslated)
    labels: list[_Label] = []
    section = group = ""
    for number, raw in enumerate(text.splitlines(), 1):
        line = raw.strip()
        if not line or line.startswith("#") or line.upper().startswith("FORMAT"):
            continue
        if line.startswith("%"):
            section, _, group = line[1:].split("#")[0].strip().lower().partition(" ")
        elif section == "header" and line.split()[0].upper() in _ACTIONS:
            headers.take(number, line)
        elif section == "filter" and line.upper().startswith("LABEL"):
            labels.append(_Label(number, line[5:].split("#")[0].strip(), group.strip()))
        elif section == "filter" and labels and labels[-1].group == group.strip():
            if said := line.split("#")[0].strip():
                labels[-1].lines.append((number, said))
        else:
            untranslated.append(Untranslated(number, line, "profiles have nothing like it"))
    pixel_rules: list[PixelRule] = []
    drops: list[Drop] = []
    for label in labels:
        for check in label.checks():
            try:
                if label.regions is None:
                    dropped = label.drops(check)
                    if len(drops) + len(dropped) > _MOST_DROPS:
                        raise Untranslatable(f"a profile drops by {_MOST_DROPS} conditions at most")
                    drops += dropped
                else:
                    pixel_rules += label.pixel_rules(check)
            except Untranslatable as why:
                shown = " ".join((f"LABEL {label.name}:", *(line for _, line in check), *label.coordinates))
                untranslated.append(Untranslated(check[0][0], shown, str(why)))
    site, added = headers.rules()
    profile = Profile(
        name,
        base=headers.base,
        project=name,
        site=site,
        added=added,
        drops=tuple(dict.fromkeys(drops)),
        pixel_rules=tuple(dict.fromkeys(pixel_rules)),
    )
    return Imported(profile, tuple(sorted(untranslated, key=lambda each: each.line)))


@dataclass
class _Label:
    """One group of criteria."""

    line: int
    name: str
    group: str
    lines: list[tuple[int, str]] = field(default_factory=list)

    @property
    def coordinates(self) -> list[str]:
        return [line for _, line in self.lines if _first(line) in _COORDINATES]

    @property
    def regions(self) -> tuple[Region, ...] | None:
        """None when there are no coordinates. Raises Untranslatable."""
        found = [
            _region(line.partition(" ")[2], corners=_first(line) == "coordinates")
            for line in self.coordinates
        ]
        return tuple(found) or None

    def checks(self) -> list[_Check]:
        """Criteria that + and || join; each check flags an image by itself."""
        found: list[_Check] = []
        for number, line in self.lines:
            if _first(line) in _COORDINATES:
                continue
            if found and line.startswith(("+", "||")):
                found[-1].append((number, line))
            else:
                found.append([(number, line)])
        return found or [[(self.line, "no criterion")]]

    def pixel_rules(self, check: _Check) -> list[PixelRule]:
        """Raises Untranslatable."""
        if len(self.checks()) > 1:
            raise Untranslatable(
                "neither + nor || joins the criteria, so which images are meant is not certain"
            )
        assert self.regions is not None
        return [_pixel_rule(asks, self.regions) for asks in _joined(check, by_value=False)]

    def drops(self, check: _Check) -> list[Drop]:
        """Raises Untranslatable."""
        if self.group not in _LEFT_OUT:
            raise Untranslatable(
                "only a blacklist says that images are left out, only coordinates what is blanked"
            )
        because = "".join(letter for letter in self.name if letter.isascii() and letter.isprintable())
        because = because.strip()[:_LONGEST_REASON].strip() or "left out by a recipe"
        return [
            Drop(Condition(tuple((tag, (one,)) for tag, one in when(asks))), because)
            for asks in _joined(check, by_value=True)
        ]


def _first(line: str) -> str:
    return line.split()[0].lower()


def _joined(check: _Check, *, by_value: bool) -> list[All]:
    """Criteria of several lines, from the first to the last."""
    found: list[All] = []
    for number, (_, line) in enumerate(check):
        criterion = _any_of(re.sub(r"^(\+|\|\|)\s*", "", line), by_value=by_value)
        found = both(found, criterion) if number and line.startswith("+") else [*found, *criterion]
    return found


def _pixel_rule(asks: All, regions: tuple[Region, ...]) -> PixelRule:
    for ask in asks:
        if ask.tag not in PIXEL_RULE_ATTRIBUTES:
            raise Untranslatable(f"no pixel rule can ask for {keyword_of(ask.tag)}")
    return PixelRule(tuple(when(asks)), regions)


def _region(text: str, *, corners: bool) -> Region:
    numbers = [number.strip() for number in text.split(",")]
    if len(numbers) != 4 or not all(number.isascii() and number.isdecimal() for number in numbers):
        raise Untranslatable("coordinates are not four whole numbers")
    x, y, width, height = map(int, numbers)
    if corners:
        width, height = width - x, height - y
    if max(x, y, width, height) > 0xFFFF or width < 1 or height < 1:
        raise Untranslatable("coordinates lie outside of any image")
    return Region(x, y, width, height)


def _any_of(line: str, *, by_value: bool) -> list[All]:
    """One line: criteria with + and || between them, from left to right."""
    found: list[All] = []
    sign = ""
    for part in re.split(r"\s(\+|\|\|)\s", f" {line} "):
        if part.strip() in ("+", "||"):
            sign = part.strip()
            continue
        criterion = _criterion(part.strip(), by_value=by_value)
        found = both(found, criterion) if sign == "+" else [*found, *criterion]
    return found


def _criterion(text: str, *, by_value: bool) -> list[All]:
    """`contains Manufacturer ACME`, whatever the case of letters, which conditions do not look at and pixel rules do.

    With `by_value`, of a condition, any value of a multi-valued attribute may be the one.
    """
    kind, _, rest = text.partition(" ")
    name, _, value = rest.strip().partition(" ")
    value = value.strip()
    kind = kind.lower()
    if kind == "present" and not value:
        return [frozenset({Ask(tag_asked(name), "*")})]
    if kind not in ("contains", "equals"):
        raise Untranslatable(f"a rule cannot ask by {kind[:40]}")
    tag = tag_asked(name)
    patterns = expression(value, ignore_case=not by_value)
    if kind == "contains":
        patterns = [containing(pattern) for pattern in patterns]
    elif tag == _IMAGE_TYPE:
        if not by_value:
            raise Untranslatable("a pixel rule asks for all values of ImageType together")
        patterns = [made for one in patterns for made in (one, one + "\\*", "*\\" + one, "*\\" + one + "\\*")]
    return [frozenset({Ask(tag, pattern)}) for pattern in patterns]
