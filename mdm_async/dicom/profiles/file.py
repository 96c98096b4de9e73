"""Profiles as TOML files: read strictly, so that a slip of the pen is refused rather than letting something through."""

import json
import re
import tomllib
from collections.abc import Iterator, Sequence
from itertools import groupby
from operator import itemgetter
from typing import Final, Literal, TypeVar, cast

from mdm_async.dicom.profile import OPTIONS, PIXEL_RULE_ATTRIBUTES, Base, PixelRule, Profile, Region
from mdm_async.dicom.profiles.adding import added
from mdm_async.dicom.profiles.agreeing import demand_consistent
from mdm_async.dicom.profiles.conditions import CONDITION_ATTRIBUTES, Condition
from mdm_async.dicom.profiles.keywords import keyword_of
from mdm_async.dicom.profiles.precedence import ConditionalRules, SiteRule, contradiction
from mdm_async.dicom.profiles.rule_tables import conditional_rules, drops, kinds
from mdm_async.dicom.profiles.site import (
    bare_or_quoted,
    in_table,
    site_key,
    site_line,
    site_rules,
    toml,
    wrong,
)
from mdm_async.dicom.profiles.terms import terms

KEYS: Final = (
    "name",
    "base",
    "options",
    "project",
    "burned_in",
    "documents",
    "faces",
    "shift",
    "unmapped",
    "attributes",
    "add",
    "rules",
    "drop",
    "pixels",
    "kinds",
    "terms",
)
_NAME: Final = re.compile("[a-z][a-z0-9_-]{0,62}")
_NAME_IN_WORDS: Final = "write a small letter, then up to 62 small letters, digits, _ and -"
_BASES: Final[tuple[Base, ...]] = ("basic", "ps3.15", "keep-only")
_TAKEN: Final = ("identified", "basic", "opaque")
_BURNED_IN: Final[tuple[Literal["refuse", "quarantine"], ...]] = ("refuse", "quarantine")
_DOCUMENTS: Final[tuple[Literal["refuse", "quarantine", "allow"], ...]] = ("refuse", "quarantine", "allow")
_FACES: Final[tuple[Literal["warn", "quarantine"], ...]] = ("warn", "quarantine")
_LIMIT: Final = 1 << 20
"""Characters."""
_SHIFT: Final[tuple[Literal["days", "weeks"], ...]] = ("days", "weeks")
_UNMAPPED: Final[tuple[Literal["refuse", "pseudonym"], ...]] = ("refuse", "pseudonym")
_EXAMPLE_RULE: Final = (
    'write when = { Modality = "US" } and one of blank = [[x, y, width, height]], '
    'blank_outside = "ultrasound regions" and trust = true'
)

_MOST_DOTS: Final = 1000
"""The reader of TOML takes time by the square of a key's parts."""

Word = TypeVar("Word", bound=str)


def parse_profile(text: str) -> Profile:
    """The profile that a TOML file describes.

    Raises BadRequest, naming the key, what is wrong and what to write instead, for everything that is not understood.
    """
    if len(text) > _LIMIT:
        raise wrong("text", f"is longer than {_LIMIT} characters", "write fewer rules")
    # Other ends of lines, as U+2028, may stand in a quoted part of a key.
    if any(line.count(".") > _MOST_DOTS for line in text.split("\n")):
        raise wrong("text", f"has more than {_MOST_DOTS} dots in a line", "write lists on several lines")
    try:
        said = tomllib.loads(text)
    except (tomllib.TOMLDecodeError, RecursionError) as e:
        reason = str(e) if isinstance(e, tomllib.TOMLDecodeError) else "nested too deeply"
        raise wrong("text", f"is not TOML: {reason}", "see toml.io for how it is written") from None
    for key in said:
        if key not in KEYS:
            raise wrong(in_table("", key), "is not known", f"write one of {', '.join(KEYS)}")
    name = _name("name", said.get("name"))
    if name in _TAKEN:
        raise wrong("name", "is that of a view that is built in", "write another name")
    unmapped = _one_of("unmapped", said["unmapped"], _UNMAPPED) if "unmapped" in said else None
    site, conditional = (
        site_rules("attributes", said.get("attributes", {})),
        conditional_rules(said.get("rules", [])),
    )
    if found := contradiction(site, conditional):
        about = [keyword_of(tag) or site_key(tag) for tag in sorted(found.about) if isinstance(tag, int)][:3]
        raise wrong(
            "attributes",
            f"{site_key(found.one)} and {site_key(found.other)} contradict each other"
            + (f" about {', '.join(about)}" + ", …" * (len(found.about) > len(about)) if about else ""),
            "name the attributes that both reach, or write one pattern or condition narrower than the other",
        )
    hook = _face_hook(said.get("faces"))
    profile = Profile(
        name=name,
        base=_one_of("base", said.get("base", "basic"), _BASES),
        options=_options(said.get("options", [])),
        project=_name("project", said.get("project", name)),
        burned_in=_one_of("burned_in", said.get("burned_in", "refuse"), _BURNED_IN),
        documents=_one_of("documents", said.get("documents", "refuse"), _DOCUMENTS),
        faces="hook" if hook else _faces(said.get("faces", "warn")),
        face_hook=hook,
        site=site,
        conditional=conditional,
        drops=drops(said.get("drop", [])),
        shift=_one_of("shift", said.get("shift", "days"), _SHIFT),
        unmapped=unmapped,
        added=added(said.get("add", {}), _ruled(site, conditional), maps=unmapped is not None),
        pixel_rules=_pixel_rules(said.get("pixels", [])),
        kinds=kinds(said.get("kinds", [])),
        terms=terms(said.get("terms", {})),
    )
    demand_consistent(profile)
    return profile


def dump_profile(profile: Profile) -> str:
    """The profile as a TOML file, from which `parse_profile` makes an equal one."""
    options = [option for option in OPTIONS if option in profile.options]
    lines = [f"name = {toml(profile.name)}", f"base = {toml(profile.base)}", f"options = {toml(options)}"]
    if profile.project is not None:
        lines.append(f"project = {toml(profile.project)}")
    lines += [f"burned_in = {toml(profile.burned_in)}", f"documents = {toml(profile.documents)}"]
    faces = f"{{ hook = {toml(profile.face_hook)} }}" if profile.face_hook else toml(profile.faces)
    lines.append(f"faces = {faces}")
    if profile.shift != "days":
        lines.append(f"shift = {toml(profile.shift)}")
    if profile.unmapped is not None:
        lines.append(f"unmapped = {toml(profile.unmapped)}")
    if profile.site:
        lines += ["", "[attributes]", *map(site_line, profile.site)]
    if profile.added:
        lines += [
            "",
            "[add]",
            *(f"{bare_or_quoted(site_key(tag))} = {toml(value)}" for tag, value in profile.added),
        ]
    if profile.terms:
        lines += ["", "[terms]", *_dumped_terms(profile)]
    for rules in profile.conditional:
        lines += ["", "[[rules]]", _dumped(rules.when), "[rules.attributes]", *map(site_line, rules.site)]
    for drop in profile.drops:
        lines += ["", "[[drop]]", _dumped(drop.when), f"because = {toml(drop.because)}"]
    for pixel_rule in profile.pixel_rules:
        when = ", ".join(f"{PIXEL_RULE_ATTRIBUTES[tag]} = {toml(text)}" for tag, text in pixel_rule.when)
        lines += ["", "[[pixels]]", f"when = {{ {when} }}"]
        if pixel_rule.blank:
            lines.append(f"blank = {toml([[r.x, r.y, r.width, r.height] for r in pixel_rule.blank])}")
        if pixel_rule.blank_outside:
            lines.append(f"blank_outside = {toml(pixel_rule.blank_outside)}")
        if pixel_rule.trust:
            lines.append("trust = true")
    for kind in profile.kinds:
        lines += ["", "[[kinds]]", f"name = {toml(kind.name)}", _dumped(kind.when)]
    return "\n".join(lines) + "\n"


def _ruled(site: Sequence[SiteRule], conditional: Sequence[ConditionalRules]) -> frozenset[object]:
    return frozenset(of for of, _, _ in (*site, *(rule for each in conditional for rule in each.site)))


def _dumped_terms(profile: Profile) -> Iterator[str]:
    for tag, listed in groupby(profile.terms, key=itemgetter(0)):
        yield f"{bare_or_quoted(site_key(tag))} = {toml([term for _, term in listed])}"


def _dumped(when: Condition) -> str:
    asks = ", ".join(
        f"{CONDITION_ATTRIBUTES[tag]} = {toml(patterns[0] if len(patterns) == 1 else list(patterns))}"
        for tag, patterns in when.asks
    )
    return f"when = {{ {asks} }}"


def _name(key: str, said: object) -> str:
    if not isinstance(said, str) or not _NAME.fullmatch(said):
        raise wrong(key, "is missing" if said is None else "is not a name", _NAME_IN_WORDS)
    return said


def _one_of(key: str, said: object, words: Sequence[Word]) -> Word:
    if said not in words:
        raise wrong(key, "is not known", f"write {' or '.join(map(json.dumps, words))}")
    return cast(Word, said)


def _faces(said: object) -> Literal["warn", "quarantine"]:
    if said not in _FACES:
        raise wrong("faces", "is not known", 'write "warn" or "quarantine" or { hook = "NAME" }')
    return said


def _face_hook(said: object) -> str | None:
    """The name in `faces = { hook = "NAME" }`; None when faces are said otherwise, or not at all."""
    if not isinstance(said, dict):
        return None
    name = said.get("hook")
    if len(said) != 1 or not isinstance(name, str) or not _NAME.fullmatch(name):
        raise wrong(
            "faces", "names no hook", 'write faces = { hook = "NAME" }, a hook of the server\'s settings'
        )
    return name


def _options(said: object) -> frozenset[str]:
    if not isinstance(said, list) or not all(isinstance(option, str) for option in said):
        raise wrong("options", "is no list of names", f"write some of {', '.join(OPTIONS)}")
    for at, option in enumerate(said):
        if option not in OPTIONS:
            raise wrong(f"options[{at}]", "is no option", f"write one of {', '.join(OPTIONS)}")
    if len(set(said)) != len(said):
        raise wrong("options", "names an option twice", "leave out one of the two")
    if {"retain_longitudinal_full_dates", "retain_longitudinal_modified_dates"} <= set(said):
        raise wrong("options", "dates can be kept or moved, not both", "leave out one of the two")
    return frozenset(said)


def _pixel_rules(said: object) -> tuple[PixelRule, ...]:
    if not isinstance(said, list):
        raise wrong("pixels", "is no list of tables", f"begin each rule with [[pixels]] and {_EXAMPLE_RULE}")
    return tuple(_pixel_rule(f"pixels[{at}]", rule) for at, rule in enumerate(said))


def _pixel_rule(where: str, said: object) -> PixelRule:
    if not isinstance(said, dict):
        raise wrong(where, "is no table", _EXAMPLE_RULE)
    for key in said:
        if key not in ("when", "blank", "blank_outside", "trust"):
            raise wrong(in_table(where, key), "is not known", _EXAMPLE_RULE)
    when = _when(f"{where}.when", said.get("when", {}))
    blank = _blank(f"{where}.blank", said["blank"]) if "blank" in said else ()
    trust = said.get("trust", False)
    if not isinstance(trust, bool):
        raise wrong(f"{where}.trust", "is neither true nor false", "write trust = true, or leave it out")
    outside = said.get("blank_outside")
    if outside not in (None, "ultrasound regions"):
        raise wrong(f"{where}.blank_outside", "is not known", 'write "ultrasound regions", or leave it out')
    if trust and (blank or outside):
        raise wrong(where, "both trusts the device and blanks its text", "leave out one of the two")
    if not trust and not blank and not outside:
        raise wrong(where, "neither blanks nor trusts", _EXAMPLE_RULE)
    return PixelRule(when, blank, trust, outside)


def _when(where: str, said: object) -> tuple[tuple[int, str], ...]:
    if not isinstance(said, dict) or not said:
        raise wrong(where, "says not for which images the rule is", _EXAMPLE_RULE)
    tags = {keyword: tag for tag, keyword in PIXEL_RULE_ATTRIBUTES.items()}
    for keyword, pattern in said.items():
        if keyword not in tags:
            raise wrong(
                in_table(where, keyword), "cannot be asked for", f"write one of {', '.join(sorted(tags))}"
            )
        if not isinstance(pattern, str) or not pattern.strip() or not pattern.isprintable():
            raise wrong(f"{where}.{keyword}", "is no pattern", 'write text, with * for anything, as "ACME*"')
    return tuple(sorted((tags[keyword], pattern) for keyword, pattern in said.items()))


def _blank(where: str, said: object) -> tuple[Region, ...]:
    if not isinstance(said, list) or not said:
        raise wrong(where, "is no list of regions", "write [[x, y, width, height], ...] in pixels")
    for at, region in enumerate(said):
        here, remedy = f"{where}[{at}]", "write [x, y, width, height] in pixels from the top left"
        if not isinstance(region, list) or len(region) != 4 or any(type(n) is not int for n in region):
            raise wrong(here, "is not four whole numbers", remedy)
        if min(region) < 0 or max(region) > 0xFFFF:
            raise wrong(here, "lies outside of any image", remedy)
        if not region[2] or not region[3]:
            raise wrong(here, "has no width or no height", remedy)
    return tuple(Region(*region) for region in said)
