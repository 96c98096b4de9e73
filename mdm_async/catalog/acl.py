"""The one decision point: may this caller do that to this entry, in this view?

A right comes from one of the caller's own scopes (a local token's, later a grid token's capabilities) or from the
ACL in force at the entry. The identified view needs `i`, which no other right implies and "*" does not cover.
A research project's own entry gives its one view and nothing identifying, whatever rights there are.
"""

from mdm_async.catalog.database import Connection
from mdm_async.catalog.entries import Place, Rule, resolve_one
from mdm_async.errors import Forbidden, NotFound
from mdm_async.names import IDENTIFIED, ROOT, Caller, Right, View


def allows(caller: Caller, place: Place, right: Right, view: View | None = None) -> bool:
    """True when `caller` has `right` at `place`.

    `view` is asked for with READ only; without it the question is about the directory's default view.
    """
    view = view or place.default_view
    if place.only_view is not None and (
        right is Right.IDENTITY or (right is Right.READ and view != place.only_view)
    ):
        return False
    for scope in caller.scopes:
        if scope.covers(place.lfn) and _grants(scope.rights, scope.views, right, view, place.default_view):
            return True
    return all(_traverses(caller, rules) for rules in place.path_rules) and any(
        _grants(frozenset(rule.rights), _views(rule), right, view, place.default_view)
        for rule in place.rules
        if rule.principal in caller.principals
    )


def demand(caller: Caller, place: Place, right: Right, view: View | None = None) -> None:
    """Return when allowed. Raises Forbidden, or NotFound to a caller who may not even know of the entry."""
    if allows(caller, place, right, view):
        return
    if not allows(caller, place, Right.LIST):
        raise NotFound()
    wanted = f"right '{right}'"
    if right is Right.READ:
        wanted += f" on the view '{view or place.default_view}'"
    raise Forbidden(f"this caller has no {wanted} here", remedy="ask the owner of the directory for it")


async def demand_administrator(db: Connection, caller: Caller) -> None:
    """Administrators hold the permission right on the root. Raises Forbidden."""
    if not allows(caller, await resolve_one(db, ROOT), Right.PERMISSION):
        raise Forbidden("only an administrator may do that", remedy="use the admin token")


def rights_of(caller: Caller, place: Place) -> str:
    """The letters of all rights that `caller` has at `place`."""
    return "".join(right for right in Right if allows(caller, place, right))


def _grants(
    rights: frozenset[Right] | frozenset[str],
    views: frozenset[str] | None,
    right: Right,
    view: View,
    default: View,
) -> bool:
    if right not in rights:
        return False
    if right is not Right.READ:
        return True
    if view == IDENTIFIED:
        return Right.IDENTITY in rights and (views is None or view in views)
    return view == default if views is None else view in views or "*" in views


def _views(rule: Rule) -> frozenset[str] | None:
    return None if rule.views is None else frozenset(rule.views)


def _traverses(caller: Caller, rules: tuple[Rule, ...]) -> bool:
    return any(Right.EXECUTE in rule.rights for rule in rules if rule.principal in caller.principals)
