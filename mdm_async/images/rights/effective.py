"""What principals may do at an entry by ACLs alone, which rule of which entry gives it, and what stands in the way."""

from collections.abc import Sequence
from dataclasses import dataclass

from mdm_async.catalog.namespace.places import Place
from mdm_async.catalog.rights import acl
from mdm_async.images.rights.origins import Lineage, Origin, seen_by
from mdm_async.names import ANYONE, AUTHENTICATED, IDENTIFIED, Caller, Right, View
from mdm_async.rules import EVERY_VIEW, Rule


@dataclass(frozen=True, slots=True)
class Given:
    """A right, and the rule that gives it; of `r`, for one view."""

    right: Right
    view: View | None
    rule: Rule
    origin: Origin | None
    """The entry whose ACL holds the rule, when whoever asks may list it."""


@dataclass(frozen=True, slots=True)
class Effective:
    """The rights of some principals, who are one person's. What a credential gives by itself is apart."""

    rights: str
    given: tuple[Given, ...]
    blocked: bool
    """A directory above may not be traversed: no rule counts."""
    blocked_at: Origin | None
    """The first such directory, when whoever asks may list it."""


def bearer_of(principals: Sequence[str]) -> Caller:
    """Whoever has these principals; with an identity of any kind they are authenticated."""
    implied = {ANYONE} if set(principals) <= {ANYONE} else {ANYONE, AUTHENTICATED}
    return Caller(principals[0], frozenset(principals) | implied)


def effective(viewer: Caller, whose: Caller, line: Lineage) -> Effective:
    place = line.own
    origin = seen_by(viewer, line.acl_from)
    given: list[Given] = []
    for right in Right:
        for view in _views(place) if right is Right.READ else (None,):
            rule = acl.granting(whose, place, right, view)
            if rule is not None:
                given.append(Given(right, view, rule, origin))
    bar = next((above for above in line.places[:-1] if not _traverses(whose, above)), None)
    return Effective(
        rights="".join(dict.fromkeys(one.right for one in given)),
        given=tuple(given),
        blocked=bar is not None,
        blocked_at=seen_by(viewer, bar) if bar is not None else None,
    )


def _views(place: Place) -> list[View]:
    """Those that the ACL could be about: the default view, the identified one, and what its rules name."""
    named = {view for rule in place.acl.rules for view in rule.views or () if view != EVERY_VIEW}
    return [place.default_view, *(View(view) for view in sorted({*named, IDENTIFIED} - {place.default_view}))]


def _traverses(whose: Caller, directory: Place) -> bool:
    return any(
        Right.EXECUTE in rule.rights for rule in directory.acl.rules if rule.principal in whose.principals
    )
