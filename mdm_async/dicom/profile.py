"""De-identification profiles: a base, options of PS3.15 Annex E, a site's own rules, and what to do about pixels."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from functools import cache, cached_property, lru_cache
from types import MappingProxyType
from typing import Final, Literal

from mdm_async.dicom.profiles.assertions import date_kept, falls_short_of, identity_kept
from mdm_async.dicom.profiles.attribute_rules import (
    CLEANED_TEXT,
    GROUPS,
    PRIVATE,
    REPEATING,
    Action,
    Rule,
    public_rules,
    unnamed,
)
from mdm_async.dicom.profiles.conditions import PIXEL_RULE_ATTRIBUTES, Readings
from mdm_async.dicom.profiles.kinds import Kind
from mdm_async.dicom.profiles.lets_through import lets_through, shown
from mdm_async.dicom.profiles.precedence import ConditionalRules, Drop, SiteRule, plain_rules
from mdm_async.dicom.profiles.reviewed import first_of
from mdm_async.dicom.profiles.safe_private import (
    KEPT_TEXTS,
    PrivateKey,
    can_be_kept,
    private_key,
    safe_private,
)
from mdm_async.dicom.profiles.table import EDITION, OPTIONS
from mdm_async.dicom.scrubbing.generalising import vrs_of

__all__ = [
    "EDITION",
    "OPTIONS",
    "PIXEL_RULE_ATTRIBUTES",
    "Action",
    "Base",
    "PixelRule",
    "PrivateKey",
    "Profile",
    "Readings",
    "Region",
    "Rule",
    "SiteRule",
    "basic",
    "shown",
]

# PS3.16 CID 7050.
_BASIC_CODE: Final = ("113100", "Basic Application Confidentiality Profile")
_CODES: Final = {
    "clean_graphics": ("113103", "Clean Graphics Option"),
    "clean_structured_content": ("113104", "Clean Structured Content Option"),
    "clean_descriptors": ("113105", "Clean Descriptors Option"),
    "retain_longitudinal_full_dates": (
        "113106",
        "Retain Longitudinal Temporal Information Full Dates Option",
    ),
    "retain_longitudinal_modified_dates": (
        "113107",
        "Retain Longitudinal Temporal Information Modified Dates Option",
    ),
    "retain_patient_characteristics": ("113108", "Retain Patient Characteristics Option"),
    "retain_device_identity": ("113109", "Retain Device Identity Option"),
    "retain_uids": ("113110", "Retain UIDs Option"),
    "retain_safe_private": ("113111", "Retain Safe Private Option"),
    "retain_institution_identity": ("113112", "Retain Institution Identity Option"),
}

Base = Literal["basic", "ps3.15", "keep-only"]
_TAKING_AWAY: Final = (Action.REMOVE, Action.EMPTY, Action.DUMMY)

_ENCAPSULATED_DOCUMENT: Final = 0x00420011


@dataclass(frozen=True, slots=True)
class Region:
    """A rectangle of pixels, from the top left, in every frame."""

    x: int
    y: int
    width: int
    height: int


@dataclass(frozen=True, slots=True)
class PixelRule:
    """What is known of the pictures of some device."""

    when: tuple[tuple[int, str], ...]
    """(tag of a top-level attribute, pattern as of fnmatch.fnmatchcase on its text); all must match."""
    blank: tuple[Region, ...] = ()
    trust: bool = False
    """This device burns nothing in."""
    blank_outside: Literal["ultrasound regions"] | None = None
    """Everything is blanked but what the image itself says was examined."""


@dataclass(frozen=True)
class Profile:
    """A named set of rules. Two profiles with one digest make the same of every image, whatever they are called."""

    name: str
    base: Base = "basic"
    """What is done with attributes that no option and no rule of the site names."""
    options: frozenset[str] = frozenset()
    project: str | None = None
    """Keys pseudonyms and date shifts; None for those of the installation itself."""
    burned_in: Literal["refuse", "quarantine"] = "refuse"
    documents: Literal["refuse", "quarantine", "allow"] = "refuse"
    faces: Literal["warn", "quarantine", "hook"] = "warn"
    """What becomes of slices of heads, in which a face can be recognised."""
    face_hook: str | None = None
    """The hook that takes faces away, by the name that the server's settings give it."""
    site: tuple[SiteRule, ...] = ()
    """The site's own rules: of public attributes, of private ones, of patterns, each in ascending order."""
    pixel_rules: tuple[PixelRule, ...] = ()
    conditional: tuple[ConditionalRules, ...] = ()
    """Rules of some images only; see `given`."""
    drops: tuple[Drop, ...] = ()
    """Images that get no view."""
    added: tuple[tuple[int, str], ...] = ()
    """(attribute, value) at top level of every view, whatever the file had there; in ascending order.

    {subject} in a value is who the patient is.
    """
    shift: Literal["days", "weeks"] = "days"
    """What dates are moved by a whole number of, when the project's key says by how much."""
    unmapped: Literal["refuse", "pseudonym"] | None = None
    """What becomes of patients whom the project's mapping does not have; None when no mapping is used."""
    kinds: tuple[Kind, ...] = ()
    """The site's own, beside those of known-kinds.toml."""
    terms: tuple[tuple[int, str], ...] = ()
    """(attribute of VR CS, a value of it that may be kept): the site's own code strings, in ascending order."""
    edition: str = EDITION
    """Of PS3.15."""
    digest: str = field(init=False, compare=False)
    """SHA-256 over everything that changes what comes out, 64 hex digits."""
    _public: dict[int, Rule] = field(init=False, repr=False, compare=False)
    _private: dict[PrivateKey, Rule] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        public, private = public_rules(self.base, self.options), _private_rules(self.options)
        if self.documents != "refuse":  # what is in quarantine is kept for when it is released
            public[_ENCAPSULATED_DOCUMENT] = Rule(Action.KEEP, "documents allowed", asked=True)
        for of, rule in plain_rules(self.site):
            if isinstance(of, int):
                public[of] = rule
            else:
                private[of] = rule
        object.__setattr__(self, "_public", public)
        object.__setattr__(self, "_private", private)
        object.__setattr__(self, "digest", hashlib.sha256("\n".join(self._effects()).encode()).hexdigest())

    def __reduce__(self) -> tuple[object, ...]:
        # A profile goes with every job to the scrubbing processes, which build each one's rules once.
        return _built, tuple(getattr(self, each.name) for each in fields(self) if each.init)

    @staticmethod
    def built(*given: object) -> "Profile":
        """Of its fields in their order; equal ones once."""
        return _built(*given)

    @cached_property
    def asked(self) -> frozenset[int]:
        """The attributes that its conditions ask for."""
        conditions = [each.when for each in self.conditional] + [drop.when for drop in self.drops]
        return frozenset(tag for when in conditions for tag, _ in when.asks)

    def given(self, readings: Readings) -> "Profile":
        """The profile of an image of which this is read: its conditional rules are rules, or are gone."""
        if not self.conditional:
            return self
        holding = [
            rule
            for each in sorted(self.conditional, key=lambda each: (len(each.when.asks), each.when))
            for rule in each.site
            if each.when.holds(readings, letting_through=rule[1] not in _TAKING_AWAY)
        ]
        return _given(self, tuple(holding))

    def dropped(self, readings: Readings) -> list[str]:
        """Why an image of which this may be read gets no view; nothing when it gets one."""
        return [drop.because for drop in self.drops if drop.when.holds(readings, letting_through=False)]

    def rule(self, tag: int) -> Rule:
        """What happens to this public attribute, at any depth; of a private group: removed."""
        group = tag >> 16
        if group & 1:
            return PRIVATE
        if (whole := GROUPS.get(group)) is not None:
            return whole
        if (named := self._public.get(tag) or self._public.get(first_of(tag))) is not None:
            return named
        return REPEATING.get(group & 0xFF00) or unnamed(self.base, tag)

    def private_rule(self, creator: str, tag: int) -> tuple[Rule, bytes]:
        """(what happens to a private element of this creator, the VR that PS3.15 lists for it or b"")."""
        key = private_key(creator, tag)
        return self._private.get(key, PRIVATE), safe_private().get(key, b"")

    @property
    def private_kept(self) -> bool:
        """Whether any private attribute is treated otherwise than by being removed."""
        return any(rule.action is not Action.REMOVE for rule in self._private.values())

    @cached_property
    def dates(self) -> Literal["UNMODIFIED", "MODIFIED", "REMOVED"]:
        """What happens to dates, as Longitudinal Temporal Information Modified says it (PS3.15 §E.3.6)."""
        if "retain_longitudinal_full_dates" in self.options:
            return "UNMODIFIED"
        rules = dict(plain_rules(self.site)).values()
        if "retain_longitudinal_modified_dates" in self.options or any(map(_moves, rules)):
            return "MODIFIED"
        return "UNMODIFIED" if date_kept(self) else "REMOVED"

    @property
    def public(self) -> Mapping[int, Rule]:
        """The rules of public attributes that have one of their own."""
        return MappingProxyType(self._public)

    @property
    def identity_removed(self) -> bool:
        """Whether nothing stays that says who the patient is, so that files may say so."""
        return not identity_kept(self)

    def codes(self) -> tuple[tuple[str, str], ...]:
        """(code value, meaning) of PS3.16 CID 7050: the basic profile, then each option, in ascending order.

        None where who the patient is stays, and not the basic profile's where the site keeps what that takes away.
        """
        if not self.identity_removed:
            return ()
        options = sorted(_CODES[option] for option in self.options)
        return tuple(options) if falls_short_of(self, basic()) else (_BASIC_CODE, *options)

    @property
    def warnings(self) -> tuple[str, ...]:
        """In words, what the site's rules let through that the standard takes away; empty when nothing."""
        said = list(lets_through(self, basic()))
        if any(rule.trust and not any(p.strip("*") for _, p in rule.when) for rule in self.pixel_rules):
            said.append("trusts every device to burn nothing into its pictures")
        if self.documents == "allow":
            said.append("serves encapsulated documents with their payload, whatever it says")
        return tuple(said)

    def _effects(self) -> list[str]:
        """Everything that changes what comes out, one line each; the name and the reasons for rules do not."""
        lines = [f"edition {self.edition}", f"base {self.base}", f"project {self.project!r}"]
        lines += [f"burned-in {self.burned_in}", f"documents {self.documents}"]
        lines.append(f"faces {self.faces} {self.face_hook}")
        lines += [f"option {option}" for option in sorted(self.options)]  # each is said in the image
        lines += [_effect(f"{tag:08X}", rule) for tag, rule in sorted(self._public.items())]
        lines += [_effect(f"group {group:04X}", rule) for group, rule in sorted(GROUPS.items())]
        lines += [_effect(repr(tuple(key)), rule) for key, rule in sorted(self._private.items())]
        lines += [
            f"pixels {rule.when!r} {[(r.x, r.y, r.width, r.height) for r in rule.blank]!r} {rule.trust}"
            f" {rule.blank_outside}"
            for rule in self.pixel_rules
        ]
        lines += sorted(
            f"when {each.when.asks!r} {of!r} {action.value} {value!r}"
            for each in self.conditional
            for of, action, value in each.site
        )
        lines += [f"add {tag:08X} {value!r}" for tag, value in self.added]
        lines += [f"shift {self.shift}", f"unmapped {self.unmapped}"]
        lines += sorted(f"drop {drop.when.asks!r} {drop.because!r}" for drop in self.drops)
        lines += [f"kind {kind.name!r} {kind.when.asks!r}" for kind in self.kinds]
        lines += [f"term {tag:08X} {term}" for tag, term in self.terms]
        return lines


@cache
def basic() -> Profile:
    """The Basic Application Level Confidentiality Profile, without options (PS3.15 §E.2)."""
    return Profile("basic")


def _private_rules(options: frozenset[str]) -> dict[PrivateKey, Rule]:
    if "retain_safe_private" not in options:
        return {}
    because = "option retain_safe_private"
    keep, clean, uid = (
        Rule(action, because, asked=True) for action in (Action.KEEP, Action.CLEAN, Action.UID)
    )
    # The standard's list has a UID of a series: safe as an attribute, but it joins with everything.
    by_vr = {b"UI": keep if "retain_uids" in options else uid}
    # A text is safe as an attribute too, but anything can be written into it.
    by_vr |= dict.fromkeys(CLEANED_TEXT - {b"CS"}, clean)
    rules = {key: by_vr.get(vr, keep) for key, vr in safe_private().items() if can_be_kept(vr)}
    return rules | {key: replace(keep, keeps=name) for key, name in KEPT_TEXTS.items()}


def _moves(rule: Rule) -> bool:
    """Whether something of a date is left that is not the date."""
    return rule.action is Action.SHIFT or (
        rule.action is Action.CLEAN and rule.value is not None and b"DA" in vrs_of(rule.value)
    )


def _effect(attribute: str, rule: Rule) -> str:
    return f"{attribute} {rule.action.value} {rule.value!r} {rule.keeps} {rule.asked} {rule.of_site}"


@lru_cache(maxsize=64)
def _given(profile: Profile, holding: tuple[SiteRule, ...]) -> Profile:
    return replace(profile, site=(*profile.site, *holding), conditional=())


@lru_cache(maxsize=64)
def _built(*fields: object) -> Profile:
    return Profile(*fields)  # type: ignore[arg-type]
