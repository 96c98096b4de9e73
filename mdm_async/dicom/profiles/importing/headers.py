"""The %header section of a `deid` recipe as rules of a profile."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, cached_property
from typing import Final

from pydicom._dicom_dict import DicomDictionary

from mdm_async.dicom.profile import Base
from mdm_async.dicom.profiles.adding import Added, added
from mdm_async.dicom.profiles.deciding import decided
from mdm_async.dicom.profiles.importing.asks import Untranslatable
from mdm_async.dicom.profiles.importing.imported import Untranslated
from mdm_async.dicom.profiles.patterns import Kind, Pattern
from mdm_async.dicom.profiles.precedence import SiteRule
from mdm_async.dicom.profiles.site import public_tag, site_key, site_rules
from mdm_async.errors import BadRequest

_LETTERS: Final = {"KEEP": "K", "REMOVE": "X", "BLANK": "Z"}
_STRENGTH: Final = ("BLANK", "REMOVE", "JITTER", "REPLACE", "ADD", "KEEP")
"""Of two actions on one field the later in this row counts."""


class Headers:
    """Gathers the actions of a recipe; what has no counterpart goes into the list that is given."""

    def __init__(self, untranslated: list[Untranslated]) -> None:
        self._untranslated = untranslated
        self._actions: dict[str, tuple[str, str, int, str]] = {}
        """By key of a profile file: action, value, line, text."""
        self.base: Base = "basic"
        """What becomes of all other fields."""

    def take(self, number: int, text: str) -> None:
        """One line: `REMOVE startswith:Patient`, `REPLACE StudyID 1`."""
        action, field, value = [*text.split("#")[0].split(None, 2), "", ""][:3]
        action, value = action.upper(), value.strip()
        if (action, field.upper(), value) == ("REMOVE", "ALL", ""):
            self.base = "keep-only"
            return
        try:
            keys = _keys(field)
            _demand_plain(action, value)
        except Untranslatable as why:
            self._untranslated.append(Untranslated(number, text, str(why)))
            return
        for key in keys:
            said = (action, value, number, text)
            if key in self._actions:
                weaker, said = sorted((self._actions[key], said), key=lambda each: _STRENGTH.index(each[0]))
                self._untranslated.append(Untranslated(weaker[2], weaker[3], f"{said[0]} {key} outdoes it"))
            self._actions[key] = said

    def rules(self) -> tuple[tuple[SiteRule, ...], tuple[Added, ...]]:
        """The rules that the profile language allows, and what is added."""
        lines: list[_Line] = []
        new: dict[str, str] = {}
        for key, (action, value, number, text) in self._actions.items():
            try:
                if action == "ADD":
                    added({key: value}, frozenset(), maps=False)
                    new[key] = value
                    continue
                said: object = {"action": "D", "value": value} if action == "REPLACE" else _LETTERS[action]
                (rule,) = site_rules("attributes", {key: said})
                lines.append(_Line(_STRENGTH.index(action), key, said, rule))
            except BadRequest as why:
                self._untranslated.append(Untranslated(number, text, why.detail.partition(": ")[2]))
        site = {line.key: line.said for line in lines} | _settled(lines)
        return site_rules("attributes", site), added(new, frozenset(), maps=False)


@dataclass(frozen=True)
class _Line:
    """One rule."""

    strength: int
    key: str
    said: object
    rule: SiteRule

    @property
    def kind(self) -> Kind:
        of = self.rule[0]
        return of.kind if isinstance(of, Pattern) else Kind.EXACT

    @cached_property
    def reach(self) -> frozenset[object]:
        of = self.rule[0]
        return frozenset(decided(of, self.rule[1])) if isinstance(of, Pattern) else frozenset((of,))


def _settled(lines: list[_Line]) -> dict[str, object]:
    """Rules of single attributes, where several lines reach one: there the strongest counts, here the most specific."""
    reached: dict[object, list[_Line]] = {}
    for line in lines:
        for tag in line.reach:
            reached.setdefault(tag, []).append(line)
    settled = {}
    for tag, several in reached.items():
        strongest = max(several, key=lambda line: line.strength)
        specific = max(line.kind for line in several)
        if any(line.kind is specific and line.said != strongest.said for line in several):
            assert isinstance(tag, int)
            settled[site_key(tag)] = strongest.said
    return settled


def _demand_plain(action: str, value: str) -> None:
    if action == "JITTER":
        raise Untranslatable(
            "days come from the project's key, not from a file: write S, or retain_longitudinal_modified_dates"
        )
    if value.startswith(("var:", "func:", "deid_func:")):
        raise Untranslatable(
            "values that a program computes are not in a profile; identifiers become pseudonyms"
        )
    if "{" in value:
        raise Untranslatable("braces in values are a profile's own")
    if action in ("ADD", "REPLACE") and not value:
        raise Untranslatable("it says no value")


def _keys(field: str) -> list[str]:
    """A field as profile files have it: a keyword, a tag, or patterns. Raises Untranslatable."""
    kind, _, rest = field.partition(":")
    match kind.lower():
        case "all":
            raise Untranslatable("what no rule names is decided by the base alone")
        case "startswith":
            return _patterns(rest, "{}*", _keywords(lambda one: one.startswith(rest.lower())))
        case "endswith":
            return _patterns(rest, "*{}", _keywords(lambda one: one.endswith(rest.lower())))
        case "contains":
            return _patterns(rest, "*{}*", _keywords(lambda one: rest.lower() in one))
        case "select":
            by, _, what = rest.partition(":")
            if by.lower() == "vr" and len(what) == 2:
                return [f"VR:{what.upper()}"]
            if by.lower() == "group" and 0 < len(what) <= 4:
                return [f"({what.rjust(4, '0').upper()},xxxx)"]
    if ":" in field or not field:
        raise Untranslatable("fields cannot be selected so")
    digits = field.strip("()").replace(",", "")
    named = f"{digits[:4]},{digits[4:]}" if len(digits) == 8 and not field.isalpha() else field
    try:
        return [site_key(public_tag("field", named))]
    except BadRequest as why:
        raise Untranslatable(why.detail.partition(": ")[2]) from None


def _patterns(text: str, shape: str, wanted: frozenset[int]) -> list[str]:
    """What reaches just these attributes: deid does not look at the case of letters, patterns do."""
    found = []
    for spelling in dict.fromkeys((text, text[:1].upper() + text[1:], text.lower(), text.upper())):
        pattern = Pattern.of(shape.format(spelling))
        if pattern and pattern.kind is Kind.KEYWORD and pattern.reach & wanted:
            found.append(str(pattern))
            wanted -= pattern.reach
    if wanted or not found:
        raise Untranslatable(
            "no pattern reaches just these attributes" if wanted else "it reaches no attribute"
        )
    return found


def _keywords(fits: Callable[[str], bool]) -> frozenset[int]:
    return frozenset(tag for tag, keyword in _all_keywords() if fits(keyword))


@cache
def _all_keywords() -> tuple[tuple[int, str], ...]:
    """Every public attribute with its keyword in small letters."""
    return tuple((tag, entry[4].lower()) for tag, entry in DicomDictionary.items() if entry[4])
