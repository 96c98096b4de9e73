"""The rules of ACLs as people write them: their form, their order, and what a change makes of them. Pure.

In canonical order a principal's rights on the same views are one rule. Rights on the same views belong together:
`r` and `i` in one rule give the identified view, in two they do not.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum

from mdm_async.errors import BadRequest
from mdm_async.names import ANYONE, IDENTIFIED, Right, parse_rights, parse_view

MOST_RULES = 1000
EVERY_VIEW = "*"
"""Among a rule's views: every de-identified one."""

_LONGEST_PRINCIPAL = 1024
_FORMS = {
    "dn": re.compile(r"/[A-Za-z0-9.-]+=[^/].*"),
    "fqan": re.compile(r"(/[\w.-]+)+(/Role=(?!NULL\Z)[\w.-]+)?", re.ASCII),
    "sub": re.compile(r"https?://[^#]+#.+"),
    "group": re.compile(r"(https?://[^#]+|local)#/.+"),
    "user": re.compile(r"[A-Za-z0-9][A-Za-z0-9._@-]{0,63}"),
    "any": re.compile(r"anonymous|authenticated"),
}


@dataclass(frozen=True, slots=True)
class Rule:
    """One line of an ACL: a principal's rights; `views` as in `names.Scope`."""

    principal: str
    rights: str
    views: tuple[str, ...] | None = None


Rules = tuple[Rule, ...]


class Kind(StrEnum):
    """What is done with the rules that a step names."""

    ADD = "ADD"
    REMOVE = "REMOVE"
    """Rights of the principals named; without rights, all that they have."""
    CHANGE = "CHANGE"
    """The principals named have these rules and no others."""
    SET = "SET"
    """The whole ACL."""


@dataclass(frozen=True, slots=True)
class Step:
    kind: Kind
    rules: Rules


def parse_principal(text: str) -> str:
    """Raises BadRequest. What has the form of a principal may still be nobody."""
    kind, _, rest = text.partition(":")
    form = _FORMS.get(kind)
    if form is None or not form.fullmatch(rest) or len(text) > _LONGEST_PRINCIPAL or not text.isprintable():
        raise BadRequest(
            "a principal is malformed",
            remedy="write dn:/C=…/CN=…, fqan:/vo/group/Role=role, sub:ISSUER#SUBJECT, group:ISSUER#/group,"
            " group:local#/group, user:NAME, any:authenticated or any:anonymous",
        )
    return text


def rule(principal: str, rights: str, views: Sequence[str] | None = None) -> Rule:
    """A rule whose parts are well-formed. Raises BadRequest."""
    letters = parse_rights(rights)
    if views is not None and (Right.READ not in letters or not views):
        raise BadRequest("views are named without 'r'", remedy="views say what 'r' covers: P=rl@basic")
    for view in views or ():
        if view != EVERY_VIEW:
            parse_view(view)
    if principal == ANYONE and Right.IDENTITY in letters:
        raise BadRequest(f"{ANYONE} can never have 'i'", remedy="give it to those who must see identities")
    return Rule(parse_principal(principal), _ordered(letters), _views(views))


def canonical(rules: Iterable[Rule]) -> Rules:
    """In order, those of one principal with the same views merged, without those that give nothing."""
    merged: dict[tuple[str, tuple[str, ...] | None], set[str]] = {}
    for one in rules:
        views = _views(one.views) if Right.READ in one.rights else None
        merged.setdefault((one.principal, views), set()).update(one.rights)
    return tuple(
        Rule(principal, _ordered(rights), views)
        for (principal, views), rights in sorted(
            merged.items(), key=lambda item: (item[0][0], item[0][1] or ())
        )
        if rights
    )


def changed(rules: Rules, steps: Sequence[Step]) -> Rules:
    """What the steps make of an ACL, one after the other. Raises BadRequest."""
    for step in steps:
        rules = canonical(_ACTS[step.kind](rules, step.rules))
        if len(rules) > MOST_RULES:
            raise BadRequest(
                f"an ACL has at most {MOST_RULES} rules", remedy="name groups instead of their members"
            )
    return rules


def gains_identity(before: Rules, after: Rules) -> bool:
    """Whether somebody has `i` in `after` for what they had it not for in `before`."""
    had = _by_principal(was for was in before if Right.IDENTITY in was.rights)
    return any(
        Right.IDENTITY in one.rights
        and not any(_gave_identity(was, one) for was in had.get(one.principal, ()))
        for one in after
    )


def in_words(one: Rule) -> str:
    """`rl`, or `rl@basic,cardio`."""
    return one.rights + (f"@{','.join(one.views)}" if one.views is not None else "")


def differences(before: Rules, after: Rules) -> list[dict[str, object]]:
    """The principals whose rules differ, with these before and after; for the audit."""
    of_before, of_after = _by_principal(before), _by_principal(after)
    told: list[dict[str, object]] = []
    for principal in dict.fromkeys((*of_before, *of_after)):
        was, now = ([in_words(one) for one in rules.get(principal, ())] for rules in (of_before, of_after))
        if was != now:
            told.append({"principal": principal, "before": was, "after": now})
    return told


def _by_principal(rules: Iterable[Rule]) -> dict[str, list[Rule]]:
    found: dict[str, list[Rule]] = {}
    for one in rules:
        found.setdefault(one.principal, []).append(one)
    return found


def _add(rules: Rules, named: Rules) -> Iterable[Rule]:
    return (*rules, *named)


def _replace(rules: Rules, named: Rules) -> Iterable[Rule]:
    principals = {one.principal for one in named}
    return (*(one for one in rules if one.principal not in principals), *named)


def _set(rules: Rules, named: Rules) -> Iterable[Rule]:
    return named


def _remove(rules: Rules, named: Rules) -> Iterable[Rule]:
    for gone in named:
        rules = tuple(_without(one, gone) if one.principal == gone.principal else one for one in rules)
    return rules


def _without(one: Rule, gone: Rule) -> Rule:
    if gone.views is None:
        kept = set(one.rights) - set(gone.rights) if gone.rights else set[str]()
        return Rule(one.principal, _ordered(kept), one.views)
    if gone.rights != Right.READ:
        raise BadRequest("views are removed from 'r' only", remedy="remove P=r@VIEW and other rights apart")
    if Right.READ not in one.rights:
        return one
    if one.views is None or (EVERY_VIEW in one.views and set(gone.views) - {EVERY_VIEW, IDENTIFIED}):
        raise BadRequest(
            "a view cannot be removed from a rule that does not name it",
            remedy="replace the rule by one that names the views that are to stay",
        )
    views = tuple(view for view in one.views if view not in gone.views)
    return Rule(one.principal, one.rights if views else one.rights.replace(Right.READ, ""), views or None)


_ACTS = {Kind.ADD: _add, Kind.REMOVE: _remove, Kind.CHANGE: _replace, Kind.SET: _set}


def _gave_identity(was: Rule, now: Rule) -> bool:
    """Whether a rule that has `i` gave with it what another one gives."""
    if Right.READ not in now.rights:
        return True
    if Right.READ not in was.rights:
        return False
    if was.views is None:  # the default view and the identified one
        return now.views is None or now.views == (IDENTIFIED,)
    if now.views is None:
        return {EVERY_VIEW, IDENTIFIED} <= set(was.views)
    return all(view in was.views or (EVERY_VIEW in was.views and view != IDENTIFIED) for view in now.views)


def _views(views: Sequence[str] | None) -> tuple[str, ...] | None:
    if views is None:
        return None
    named = set(views)
    return tuple(sorted(named & {EVERY_VIEW, IDENTIFIED} if EVERY_VIEW in named else named))


def _ordered(rights: Iterable[str]) -> str:
    held = set(rights)
    return "".join(right for right in Right if right in held)
