"""A site's rules about single attributes, as profile files say them: checked, or refused with what to write instead."""

import re
from typing import Final

from mdm_async.dicom.dictionary import vr_of
from mdm_async.dicom.profile import SiteRule, shown
from mdm_async.dicom.profiles.attribute_rules import CLEANED_TEXT, GROUPS, OVERLAY_DATA, Action
from mdm_async.dicom.profiles.keywords import keyword_of, tag_of
from mdm_async.dicom.profiles.safe_private import PrivateKey
from mdm_async.dicom.profiles.values import is_legal, what_is_legal
from mdm_async.errors import BadRequest

_PUBLIC: Final = re.compile("([0-9A-Fa-f]{4}),([0-9A-Fa-f]{4})")
_PRIVATE: Final = re.compile(r"([0-9A-Fa-f]{4}),xx([0-9A-Fa-f]{2}) ([!-\[\]-~]([ -\[\]-~]{0,62}[!-\[\]-~])?)")
_ACTIONS: Final = {action.value: action for action in Action if action is not Action.SHIFT}

_SAID: Final = frozenset({0x00120062, 0x00120063, 0x00120064, 0x00280303})
_SIGNATURES: Final = frozenset({0x4FFE0001, 0xFFFAFFFA})
_SOP_INSTANCE: Final = 0x00080018
# Character set, SOP class, and the description of the pixels (PS3.3 §C.7.6.3).
_NEEDED: Final = frozenset(
    {0x00080005, 0x00080016, 0x00280002, 0x00280004, 0x00280006, 0x00280008, 0x00280010, 0x00280011}
    | {0x00280100, 0x00280101, 0x00280102, 0x00280103}
)


def wrong(key: str, what: str, remedy: str) -> BadRequest:
    """The refusal of a profile, naming the key as it stands in the file."""
    return BadRequest(f"the profile's {key}: {what}", remedy=remedy)


def site_rule(key: str, said: object) -> SiteRule:
    """One line of [attributes]: `PatientSex = "K"`, `"0019,xx10 ACME 1.1" = "K"`, `{ action = "D", value = "Study" }`.

    Raises BadRequest for what is no attribute or no action, for attributes on which no site decides, and for actions
    and values that the attribute's VR does not allow.
    """
    where = in_table("attributes", key)
    letter, value = _said(where, said)
    action = _ACTIONS.get(letter)
    if action is None:
        raise wrong(where, "is no action", f"write one of {', '.join(_ACTIONS)}")
    if value is not None and action is not Action.DUMMY:
        raise wrong(where, f"{letter} writes no value", 'leave out the value, or write action = "D"')
    if private := _PRIVATE.fullmatch(key):
        return _private(where, private, action)
    tag = _tag(where, key)
    _decidable(where, tag, action)
    _fits(where, tag, action, value)
    return tag, action, value


def site_key(of: int | PrivateKey) -> str:
    """The key under which `site_rule` finds this attribute: its keyword where it has one."""
    if not isinstance(of, int):
        return f"{of.group:04X},xx{of.element:02X} {of.creator}"
    keyword = keyword_of(of)
    return keyword if keyword and tag_of(keyword) == of else f"{of >> 16:04X},{of & 0xFFFF:04X}"


def in_table(table: str, key: str) -> str:
    """A key of a table as people find it in the file; cut, and in ASCII, since anything may stand there."""
    return f"{table}.{key}" if re.fullmatch("[A-Za-z0-9_-]{1,64}", key) else f"{table}.{key[:80]!a}"


def _said(where: str, said: object) -> tuple[str, str | None]:
    """(letter of the action, value or None)."""
    if isinstance(said, str):
        return said, None
    remedy = 'write a letter, as "K", or { action = "D", value = "..." }'
    if not isinstance(said, dict) or not isinstance(said.get("action"), str):
        raise wrong(where, "says no action", remedy)
    if unknown := said.keys() - {"action", "value"}:
        raise wrong(in_table(where, min(unknown)), "is not known here", remedy)
    value = said.get("value")
    if value is not None and not isinstance(value, str):
        raise wrong(f"{where}.value", "is no text", "write the value between quotes, numbers too")
    return said["action"], value


def _tag(where: str, key: str) -> int:
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


def _private(where: str, key: re.Match[str], action: Action) -> SiteRule:
    group = int(key[1], 16)
    if not group & 1 or group < 9 or group == 0xFFFF:
        raise wrong(where, "no private attribute is in this group", "write an odd group from 0009 to FFFD")
    if group & 0xFF00 == 0x7F00:
        raise wrong(where, "groups 7Fxx hold pixels, into which nobody has looked", "leave out the rule")
    if action not in (Action.REMOVE, Action.EMPTY, Action.KEEP):
        raise wrong(
            where, "nothing says what a private attribute holds, so it cannot be changed", "write X, Z or K"
        )
    return PrivateKey(key[3], group, int(key[2], 16)), action, None


def _decidable(where: str, tag: int, action: Action) -> None:
    """Refuse rules on what is said of every image, always removed, or needed to read the file at all."""
    always = None
    if not tag & 0xFFFF:
        always = "group lengths are always removed: they would be wrong"
    elif tag >> 16 in GROUPS or tag >> 16 >= 0xFFFE:
        always = "this group has no place in a data set and is always removed or made anew"
    elif tag in _SAID:
        always = "is said anew of every de-identified image"
    elif tag >> 24 == 0x7F:
        always = "is about pixels, about which [[pixels]] decides"
    elif tag in _SIGNATURES:
        always = "digital signatures are always removed: they would be wrong"
    if always:
        raise wrong(where, always, "leave out the rule")
    if tag in _NEEDED and action is not Action.KEEP:
        raise wrong(where, "without it the file cannot be read, so it is always kept", "leave out the rule")
    if tag == _SOP_INSTANCE and action not in (Action.KEEP, Action.UID):
        raise wrong(where, "every image needs a UID of its own", "write U or K")


def _fits(where: str, tag: int, action: Action, value: str | None) -> None:
    """Refuse actions and values that mean nothing for the attribute's VR."""
    vr = vr_of(tag)
    if action is Action.REMOVE:
        return
    if vr is None:
        raise wrong(
            where,
            "is not in the public dictionary, so nothing says what it holds: it can only be removed",
            "write X, or leave out the rule",
        )
    of = f"{shown(tag)} has the VR {vr.decode()}"
    if action is Action.UID and vr != b"UI":
        raise wrong(where, f"only UIDs can be replaced by UIDs; {of}", "write another action")
    if action is Action.CLEAN and vr != b"SQ" and vr not in CLEANED_TEXT and tag & 0xFF00FFFF != OVERLAY_DATA:
        raise wrong(where, f"only text, sequences and overlays can be cleaned; {of}", "write X, Z, D or K")
    if action is Action.DUMMY and vr == b"UI" and value is None:
        raise wrong(where, f"there is no dummy UID; {of}", "write U, or a value")
    if value is not None and not is_legal(vr, value):
        legal = what_is_legal(vr)
        remedy = f"write {legal}" if legal else 'leave out the value: action "D" writes a dummy'
        raise wrong(f"{where}.value", f"is not legal; {of}", remedy)
