"""The one decision point: may this caller do that to this entry, in this view?

A right comes from one of the caller's own scopes (a local token's, a grid token's capabilities) or from the ACL in
force at the entry, which counts only when every directory above may be traversed. The identified view needs `i`,
which no other right implies and "*" does not cover. A research project's own entry gives its one view and nothing
identifying, whatever rights there are. A limited proxy neither changes rights nor sees identities. A macaroon gives
what its maker may now, within its bound.

What a caller may not list does not exist to them: they are told of it what they would be told of a free name.

What a rejection note hides exists to nobody; who would see it is told why. Only whoever had the right before may delete
it, or change its ACL.
"""

import shlex
from collections.abc import Sequence
from dataclasses import replace

from mdm_async.catalog.namespace.places import Acl, Place, resolve_one
from mdm_async.dicom.rejection_notes import REASONS
from mdm_async.errors import Forbidden, MdmError, NoParent, NotFound, Refusal, Unauthenticated
from mdm_async.names import IDENTIFIED, ROOT, Ability, Caller, Lfn, Right, Scope, View
from mdm_async.postgres.database import Connection
from mdm_async.rules import Rule

_FULL = frozenset({Right.PERMISSION, Right.IDENTITY})
"""Rights that a limited proxy never has."""
_TO_REJECTED = frozenset({Right.DELETE, Right.PERMISSION})
"""Rights that there are to a file that a rejection note hides."""


def allows(caller: Caller, place: Place, right: Right, view: View | None = None) -> bool:
    """True when `caller` has `right` at `place`; of a missing entry, whether they would have it there.

    `view` is asked for with READ only; without it the question is about the directory's default view.
    """
    view = view or place.default_view
    if is_rejected(place) and right not in _TO_REJECTED:
        return False
    if place.only_view is not None and (
        right is Right.IDENTITY or (right is Right.READ and view != place.only_view)
    ):
        return False
    return _has(caller, place.lfn, place.path, place.acl, right, view, place.default_view)


def is_rejected(place: Place) -> bool:
    """Whether a rejection note hides a file (IHE RAD TF, Imaging Object Change Management)."""
    return place.entry is not None and place.entry.rejected is not None


def if_not_rejected(place: Place) -> Place:
    """The same, as if no note hid it."""
    return replace(place, entry=replace(place.entry, rejected=None)) if place.entry is not None else place


def may_create(caller: Caller, place: Place) -> bool:
    """True when the caller may give something this name: the right to write to the directory that holds it."""
    return _has_above(caller, place, Right.WRITE)


def may_make_directory(caller: Caller, place: Place) -> bool:
    """As `may_create`, of a directory: credentials that may create a file may make those that lead to it."""
    bound = caller.bound
    if bound is not None and not _makes_directory(bound, place):
        return False
    return may_create(replace(caller, bound=None), place) or any(
        _makes_directory(scope, place) for scope in caller.scopes
    )


def may_rename(caller: Caller, place: Place) -> bool:
    """Whether the caller may take a file's name away, when it gets another: who may delete it, and some who may not."""
    if allows(caller, place, Right.DELETE):
        return True
    if caller.bound is not None and not _has_ability(caller.bound, Ability.RENAME, place):
        return False
    is_file = place.entry is not None and not place.entry.is_directory
    return is_file and any(_has_ability(scope, Ability.RENAME, place) for scope in caller.scopes)


def may_shred(caller: Caller, place: Place) -> bool:
    """Whether the caller may have the image of this entry destroyed for good: who may delete the entry and, by what is
    in force there, see identities. That a research project's own entry shows none to anybody bars nobody."""
    rights = (Right.DELETE, Right.IDENTITY)
    return all(
        _has(caller, place.lfn, place.path, place.acl, right, place.default_view, place.default_view)
        for right in rights
    )


def may_stage(caller: Caller, place: Place, view: View | None = None) -> bool:
    """Whether the caller may have a file brought online: by the right to read it, or to stage alone."""
    if allows(caller, place, Right.READ, view):
        return True
    # The identified view stays away from whoever may not have it.
    if is_rejected(place) or (view or place.default_view) == IDENTIFIED:
        return False
    if caller.bound is not None:
        maker = replace(caller, bound=None)
        return _has_ability(caller.bound, Ability.STAGE, place) and may_stage(maker, place, view)
    return any(_has_ability(scope, Ability.STAGE, place) for scope in caller.scopes)


def may_poll(caller: Caller, place: Place) -> bool:
    """Whether a credential lets the caller be told where a file's bytes are, and nothing else of it."""
    within = caller.bound is None or _polls(caller.bound, place)
    return not is_rejected(place) and within and any(_polls(scope, place) for scope in caller.scopes)


def _polls(scope: Scope, place: Place) -> bool:
    return Ability.POLL in scope.also and scope.covers(place.lfn)


def _makes_directory(scope: Scope, place: Place) -> bool:
    makes = Ability.DIRECTORIES in scope.also or Right.WRITE in scope.rights
    return scope.leads_through(place.lfn) or (makes and scope.covers(place.lfn))


def _has_ability(scope: Scope, ability: Ability, place: Place) -> bool:
    return ability in scope.also and scope.covers(place.lfn)


def demand(caller: Caller, place: Place, right: Right, view: View | None = None) -> None:
    """Return when allowed, be the entry there or not. Raises Forbidden, NotFound or Unauthenticated."""
    if allows(caller, place, right, view) and (place.entry is not None or _may_be_told(caller, place)):
        return
    raise _refused(caller, place, right, view)


def may_see(caller: Caller, place: Place) -> bool:
    """Whether the caller is told why something is refused that is there: who may list it, and who may look at it by a
    grid's credential, which says what for."""
    if allows(caller, place, Right.LIST):
        return True
    says_what_for = caller.bound is not None or any(scope.also for scope in caller.scopes)
    return says_what_for and allows(caller, place, Right.GET_METADATA)


def sees(caller: Caller, place: Place) -> bool:
    """Whether the caller may list what is there or get its metadata."""
    return allows(caller, place, Right.LIST) or allows(caller, place, Right.GET_METADATA)


def looks_into(caller: Caller, directory: Place) -> bool:
    """Whether something in a directory may be told to the caller: who sees it, and who traverses it unseen."""
    if caller.bound is not None and not (
        caller.bound.covers(directory.lfn) or caller.bound.leads_through(directory.lfn)
    ):
        return False
    return sees(caller, directory) or reaches(caller, directory.child("", None))


def demand_seen(caller: Caller, place: Place) -> None:
    """Return when the caller may list what is there or get its metadata. Raises as `demand`."""
    demand(
        caller,
        place,
        Right.GET_METADATA if allows(caller, place, Right.GET_METADATA) else Right.LIST,
    )


def demand_listing(caller: Caller, place: Place) -> None:
    """Return when the caller, who sees a directory, may list what is in it. Raises Forbidden, Unauthenticated."""
    if not allows(caller, place, Right.LIST):
        guid = place.entry.guid if place.entry is not None else None
        raise _told(caller, Refusal(caller.name, Right.LIST, None, guid), hidden=False)


def demand_create(caller: Caller, place: Place, *, directory: bool = False) -> None:
    """Return when `may_create` (`may_make_directory`); a name that is taken makes no difference. Raises as `demand`.

    A directory that is missing is told of as one that is hidden.
    """
    is_missing = place.missing > 1
    may = may_make_directory(caller, place) if directory else may_create(caller, place)
    if not is_missing and may:
        return
    refusal = Refusal(caller.name, Right.WRITE)
    if not is_missing and _has_above(caller, place, Right.LIST):
        raise _told(caller, refusal, hidden=False)
    why = _hidden(caller, place, refusal)
    if isinstance(why, NotFound):
        why = NoParent(remedy="make it first: mdm mkdir -p")
        why.refusal = refusal
    if is_missing and may:
        why.refusal = None
    raise why


def missing(caller: Caller) -> NotFound:
    """What a caller whom nothing is refused is told of what is not there: the same as of what is hidden.

    Its remedy is about the credential, so that it tells nothing of the name.
    """
    return NotFound(remedy=_given(caller))


async def demand_administrator(db: Connection, caller: Caller) -> None:
    """Administrators hold the permission right on the root. Raises Forbidden, Unauthenticated."""
    if not is_administrator(caller, await resolve_one(db, ROOT)):
        why = _told(caller, Refusal(caller.name, Right.PERMISSION), hidden=False)
        why.detail, why.remedy = (
            f"only an administrator may do that, not {caller.name}",
            "use the admin token",
        )
        raise why


async def demand_identities(db: Connection, caller: Caller) -> None:
    """Administrators who may know who everybody is hold the right to identify on the root, too. Raises Forbidden,
    Unauthenticated."""
    await demand_administrator(db, caller)
    try:
        demand(caller, await resolve_one(db, ROOT), Right.IDENTITY)
    except Forbidden as why:
        given = shlex.quote(f"{caller.name}={Right.IDENTITY}")
        why.detail = f"{caller.name} has no right '{Right.IDENTITY}' on /, which tells who everybody is"
        why.remedy = f"whoever administers / gives it: mdm acl set / --add {given}"
        raise


def is_administrator(caller: Caller, root: Place) -> bool:
    return allows(caller, root, Right.PERMISSION)


def is_known(caller: Caller, place: Place) -> bool:
    """Whether the caller has any right at all at an entry: to others its GUID is one that nothing has."""
    if caller.bound is not None and not caller.bound.covers(place.lfn):
        return False
    if any(scope.rights and scope.covers(place.lfn) for scope in caller.scopes):
        return True
    ruled = any(rule.rights and rule.principal in caller.principals for rule in place.acl.rules)
    return ruled and _reaches(caller, place.path)


def reaches(caller: Caller, place: Place) -> bool:
    """Whether ACLs let the caller traverse all directories above."""
    return _reaches(caller, place.path)


def rights_of(caller: Caller, place: Place) -> str:
    """The letters of all rights that `caller` has at `place`."""
    return "".join(right for right in Right if allows(caller, place, right))


def granting(caller: Caller, place: Place, right: Right, view: View | None = None) -> Rule | None:
    """The rule of the ACL in force that gives a right, if the ACL does and the entry can be reached."""
    view = view or place.default_view
    if not allows(caller, place, right, view) or not _reaches(caller, place.path):
        return None
    return _rule(caller, place.acl, right, view, place.default_view)


def _has_above(caller: Caller, place: Place, right: Right) -> bool:
    """Whether the caller has a right to the directory that holds, or would hold, the place's name."""
    path, acl = (place.path[:-1], place.path[-1]) if place.path else ((), place.acl)
    return _has(caller, place.lfn, path, acl, right, place.default_view, place.default_view)


def _has(
    caller: Caller, lfn: Lfn, path: Sequence[Acl], acl: Acl, right: Right, view: View, default: View
) -> bool:
    if caller.limited and (right in _FULL or (right is Right.READ and view == IDENTIFIED)):
        return False
    if caller.bound is not None and not _bounds(caller.bound, lfn, right, view):
        return False
    for scope in caller.scopes:
        if scope.covers(lfn) and _covers(scope.rights, scope.views, right, view, default):
            return True
        if right is Right.GET_METADATA and scope.leads_through(lfn):
            return True
    return _rule(caller, acl, right, view, default) is not None and _reaches(caller, path)


def _bounds(bound: Scope, lfn: Lfn, right: Right, view: View) -> bool:
    """Whether a macaroon lets its bearer have what its maker may. None lets the identified view be read."""
    if right is Right.GET_METADATA and bound.leads_through(lfn):
        return True
    return bound.covers(lfn) and right in bound.rights and not (right is Right.READ and view == IDENTIFIED)


def _rule(caller: Caller, acl: Acl, right: Right, view: View, default: View) -> Rule | None:
    for rule in acl.rules:
        if rule.principal in caller.principals and _covers(rule.rights, rule.views, right, view, default):
            return rule
    return None


def _reaches(caller: Caller, path: Sequence[Acl]) -> bool:
    return all(
        any(Right.EXECUTE in rule.rights for rule in acl.rules if rule.principal in caller.principals)
        for acl in path
    )


def _covers(
    rights: frozenset[Right] | str,
    views: Sequence[str] | frozenset[str] | None,
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


def gives(
    rights: frozenset[Right] | str,
    views: Sequence[str] | frozenset[str] | None,
    *,
    limited: bool,
    bound: Scope | None = None,
) -> set[str]:
    """The same as `_covers`, to be asked in SQL (`visible`): what may be listed, traversed, told of and read.

    "x", "l" and "g" are these rights. "@" is `r` on each entry's default view, "@basic" on that view, "@*" on every
    de-identified one; "@identified" is the identified view.
    """
    given = {str(right) for right in (Right.EXECUTE, Right.LIST, Right.GET_METADATA) if right in rights}
    if Right.READ in rights:
        given |= {"@"} if views is None else {f"@{view}" for view in views if view != IDENTIFIED}
        if Right.IDENTITY in rights and not limited and (views is None or IDENTIFIED in views):
            given.add(f"@{IDENTIFIED}")
    if bound is not None:
        # To traverse is to reach what lies below, which the bound is asked about.
        given = {one for one in given if one == "x" or _is_bound(bound, one)}
    return given


def _is_bound(bound: Scope, given: str) -> bool:
    right = Right.READ if given.startswith("@") else Right(given)
    return right in bound.rights and given != f"@{IDENTIFIED}"


def _refused(caller: Caller, place: Place, right: Right, view: View | None) -> MdmError:
    refusal = Refusal(caller.name, right, None, place.entry.guid if place.entry is not None else None)
    if right is Right.READ:
        refusal = Refusal(refusal.principal, right, view or place.default_view, refusal.guid)
    if is_rejected(place) and may_see(caller, if_not_rejected(place)):
        return _rejected(place, refusal)
    if place.entry is not None and may_see(caller, place):
        why = _told(caller, refusal, hidden=False)
        if _is_out_of_reach(caller, place, right, view or place.default_view):
            why.remedy = (
                "the ACL gives it, but not 'x' on all directories above, which it takes too: mdm acl set"
            )
        return why
    return _hidden(caller, place, refusal)


def _rejected(place: Place, refusal: Refusal) -> NotFound:
    """What those are told of it who would see it."""
    assert place.entry is not None
    assert place.entry.rejected is not None
    reason = REASONS[place.entry.rejected]
    why = NotFound(
        f"it was rejected: {reason} ({place.entry.rejected}, DCM)",
        remedy="ask whoever sent it; an administrator lists what is rejected, and by which note: mdm pacs rejected",
    )
    why.refusal = refusal
    return why


def _is_out_of_reach(caller: Caller, place: Place, right: Right, view: View) -> bool:
    """Whether the ACL gives a right that does not count, since a directory above may not be traversed."""
    if caller.limited or place.only_view is not None or _reaches(caller, place.path):
        return False
    return _rule(caller, place.acl, right, view, place.default_view) is not None


def _hidden(caller: Caller, place: Place, refusal: Refusal) -> MdmError:
    """What is told of the hidden and the missing alike, whatever the ACLs of the hidden say."""
    if not _may_be_told(caller, place):
        return _told(caller, refusal, hidden=True)
    why = missing(caller)
    why.refusal = refusal
    return why


def _given(caller: Caller) -> str:
    """What a credential that says what it is for gives: whoever is refused by it looks there first."""
    if caller.bound is None and (caller.name in caller.principals or not caller.scopes):
        return ""
    scopes = (caller.bound,) if caller.bound is not None else caller.scopes[:_TOLD]
    given = ", ".join(f"'{''.join(sorted(scope.rights))}' at and below {scope.path}" for scope in scopes)
    most = " at the most" if caller.bound is not None else ""
    return f"what was shown gives {given}{most}: ask for one that gives more"


_TOLD = 8


def _may_be_told(caller: Caller, place: Place) -> bool:
    """Whether one is told that there is nothing: who is anonymous and lists no directory above is to log in first."""
    return not caller.is_anonymous or any(
        _rule(caller, acl, Right.LIST, place.default_view, place.default_view) is not None
        and _reaches(caller, place.path[:depth])
        for depth, acl in enumerate(place.path)
    )


def _told(caller: Caller, refusal: Refusal, *, hidden: bool) -> MdmError:
    wanted = f"right '{refusal.right}'"
    if refusal.view is not None:
        wanted += f" on the view '{refusal.view}'"
    why: MdmError
    if caller.is_anonymous:
        why = Unauthenticated(
            f"{caller.name} has no {wanted} here" if not hidden else "",
            remedy="show a trusted certificate, or 'Authorization: Bearer <token>' (mdm token create)",
        )
    elif hidden:
        why = missing(caller)
    else:
        why = Forbidden(
            f"{caller.name} has no {wanted} here",
            remedy=_given(caller) or "ask the owner of the directory for it: mdm acl set",
        )
    why.refusal = refusal
    return why
