"""A site's rules about single attributes, as profile files say them: checked, or refused with what to write instead."""

import json
import re
from typing import Final

from mdm_async.dicom.dictionary import vr_of
from mdm_async.dicom.profile import shown
from mdm_async.dicom.profiles.attribute_rules import Action
from mdm_async.dicom.profiles.deciding import decided, why_undecidable, why_unfit
from mdm_async.dicom.profiles.keywords import keyword_of, tag_of
from mdm_async.dicom.profiles.patterns import Pattern
from mdm_async.dicom.profiles.precedence import Of, SiteRule
from mdm_async.dicom.profiles.safe_private import PrivateKey, safe_private
from mdm_async.dicom.profiles.written import may_be_written, what_is_legal
from mdm_async.dicom.scrubbing.generalising import VOCABULARY, vrs_of
from mdm_async.errors import BadRequest

_PUBLIC: Final = re.compile(r"\(?([0-9A-Fa-f]{4}),([0-9A-Fa-f]{4})\)?")
_PRIVATE: Final = re.compile(r"([0-9A-Fa-f]{4}),xx([0-9A-Fa-f]{2}) ([!-\[\]-~]([ -\[\]-~]{0,62}[!-\[\]-~])?)")
_ACTIONS: Final = {action.value: action for action in Action}
_OF_PRIVATE: Final = {
    Action.REMOVE: (),
    Action.EMPTY: (),
    Action.KEEP: (),
    Action.SHIFT: (b"DA", b"DT", b"TM"),
    Action.UID: (b"UI",),
}
"""What a site may decide of a private attribute, and of which VRs if not of all."""


_MOST_PATTERNS: Final = 200


def wrong(key: str, what: str, remedy: str) -> BadRequest:
    """The refusal of a profile, naming the key as it stands in the file."""
    return BadRequest(f"the profile's {key}: {what}", remedy=remedy)


def site_rules(table: str, said: object) -> tuple[SiteRule, ...]:
    """The rules of a table: of public attributes, of private ones, of patterns, each in ascending order.

    Raises BadRequest.
    """
    if not isinstance(said, dict):
        raise wrong(table, "is no table", 'write [attributes] and below it lines as PatientSex = "K"')
    rules: dict[Of, SiteRule] = {}
    patterns = 0
    for key, rule in said.items():
        parsed = _site_rule(in_table(table, key), key, rule)
        patterns += isinstance(parsed[0], Pattern)
        if parsed[0] in rules:
            raise wrong(in_table(table, key), "there is a rule for this attribute already", "leave one out")
        if patterns > _MOST_PATTERNS:
            raise wrong(table, f"has more than {_MOST_PATTERNS} patterns", "name the attributes")
        rules[parsed[0]] = parsed
    return tuple(sorted(rules.values(), key=_place))


def site_line(rule: SiteRule) -> str:
    """A rule as a line of a profile file."""
    of, action, value = rule
    letter = toml(action.value)
    if value is None:
        said = letter
    elif action is Action.CLEAN:
        said = f"{{ generalise = {toml(value)} }}"
    else:
        said = f"{{ action = {letter}, value = {toml(value)} }}"
    return f"{bare_or_quoted(site_key(of))} = {said}"


def bare_or_quoted(key: str) -> str:
    return key if key.isalnum() else toml(key)


def toml(value: object) -> str:
    """A text, or a list of texts or numbers, as a profile file has it."""
    # JSON's strings and arrays are TOML's too, as long as nothing outside the basic plane is escaped.
    return json.dumps(value, ensure_ascii=False)


def _place(rule: SiteRule) -> tuple[int, Of]:
    of = rule[0]
    return (0 if isinstance(of, int) else 1 if isinstance(of, PrivateKey) else 2), of


def _site_rule(where: str, key: str, said: object) -> SiteRule:
    """`PatientSex = "K"`, `"0019,xx10 ACME 1.1" = "K"`, `{ action = "D", value = "Study" }`.

    Raises BadRequest for what is no attribute or no action, for attributes on which no site decides, and for actions
    and values that the attribute's VR does not allow.
    """
    letter, value = _said(where, said)
    action = _ACTIONS.get(letter)
    if action is None:
        raise wrong(where, "is no action", f"write one of {', '.join(_ACTIONS)}")
    if private := _PRIVATE.fullmatch(key):
        return _private(where, private, action, value)
    if pattern := Pattern.of(key):
        return _pattern(where, pattern, action, value)
    tag = public_tag(where, key)
    _fits(where, tag, action, value)
    return tag, action, value


def site_key(of: Of) -> str:
    """The key under which `site_rules` finds this attribute: its keyword where it has one."""
    if isinstance(of, Pattern):
        return str(of)
    if not isinstance(of, int):
        return f"{of.group:04X},xx{of.element:02X} {of.creator}"
    keyword = keyword_of(of)
    return keyword if keyword and tag_of(keyword) == of else f"{of >> 16:04X},{of & 0xFFFF:04X}"


def in_table(table: str, key: str) -> str:
    """A key of a table ("": of the file) as people find it; cut, and in ASCII, since anything may stand there."""
    shown = key if re.fullmatch("[A-Za-z0-9_-]{1,64}", key) else f"{key[:80]!a}"
    return f"{table}.{shown}" if table else shown


def _said(where: str, said: object) -> tuple[str, str | None]:
    """(letter of the action, value or None)."""
    if isinstance(said, str):
        return said, None
    remedy = 'write a letter, as "K", or { action = "D", value = "..." }, or { generalise = "year" }'
    if isinstance(said, dict) and "generalise" in said:
        words = said["generalise"]
        if len(said) > 1:
            raise wrong(where, "does more than to generalise", 'write { generalise = "year" } alone')
        if not isinstance(words, str) or not vrs_of(words):
            raise wrong(
                f"{where}.generalise",
                "is not known",
                f"write one of {', '.join(map(toml, VOCABULARY))} (bins of 2 to 39)",
            )
        return Action.CLEAN.value, words
    if not isinstance(said, dict) or not isinstance(said.get("action"), str):
        raise wrong(where, "says no action", remedy)
    if unknown := said.keys() - {"action", "value"}:
        raise wrong(in_table(where, min(unknown)), "is not known here", remedy)
    value = said.get("value")
    if value is not None and not isinstance(value, str):
        raise wrong(f"{where}.value", "is no text", "write the value between quotes, numbers too")
    if value is not None and said["action"] in _ACTIONS and said["action"] != Action.DUMMY.value:
        raise wrong(where, f"{said['action']} writes no value", 'leave out the value, or write action = "D"')
    return said["action"], value


def public_tag(where: str, key: str) -> int:
    """The attribute of a keyword or tag. Raises BadRequest."""
    if public := _PUBLIC.fullmatch(key):
        tag = int(public[1] + public[2], 16)
        if tag >> 16 & 1:
            raise wrong(
                where,
                "a private attribute is known by its creator, not by its block",
                'write "gggg,xxee CREATOR", as "0019,xx10 ACME 1.1"',
            )
        return tag
    found = tag_of(key)
    if found is None:
        raise wrong(
            where,
            "is no attribute of the public dictionary",
            'write its keyword of PS3.6, as PatientSex, or "gggg,eeee", or "gggg,xxee CREATOR" for a private one',
        )
    return found


def _pattern(where: str, pattern: Pattern, action: Action, value: str | None) -> SiteRule:
    if value is not None and action is Action.DUMMY:
        raise wrong(
            where, "writes one value into many attributes", "leave out the value, or name one attribute"
        )
    if not decided(pattern, action, value):
        raise wrong(
            where,
            f"reaches no attribute of which {action.value} can be said",
            'write a keyword with *, as "Patient*", a tag with x, as "(0010,xxxx)", or a VR, as "VR:LT"',
        )
    return pattern, action, value


def _private(where: str, key: re.Match[str], action: Action, value: str | None) -> SiteRule:
    group = int(key[1], 16)
    if not group & 1 or group < 9 or group == 0xFFFF:
        raise wrong(where, "no private attribute is in this group", "write an odd group from 0009 to FFFD")
    if group & 0xFF00 == 0x7F00:
        raise wrong(where, "groups 7Fxx hold pixels, into which nobody has looked", "leave out the rule")
    if action not in _OF_PRIVATE or value is not None:
        raise wrong(
            where,
            "nothing says what a private attribute holds, so it cannot be changed",
            "write X, Z or K, or S of dates and times, or U of UIDs",
        )
    of = PrivateKey(key[3], group, int(key[2], 16))
    vrs, listed = _OF_PRIVATE[action], safe_private().get(of)
    if vrs and listed and listed not in vrs:
        raise wrong(
            where,
            f"{action.value} does not fit; PS3.15 lists it with the VR {listed.decode()}",
            "write X, Z or K",
        )
    return of, action, None


def _fits(where: str, tag: int, action: Action, value: str | None) -> None:
    """Refuse rules on which no site decides, and actions and values that mean nothing for the attribute's VR."""
    refusal = why_undecidable(tag, action) or why_unfit(tag, action, value)
    if refusal:
        raise wrong(where, *refusal)
    vr = vr_of(tag)
    if action is Action.DUMMY and value is not None and not (vr and may_be_written(vr, value)):
        legal = what_is_legal(vr) if vr else ""
        remedy = f"write {legal}" if legal else 'leave out the value: action "D" writes a dummy'
        raise wrong(
            f"{where}.value", f"is not legal; {shown(tag)} has the VR {(vr or b'UN').decode()}", remedy
        )
