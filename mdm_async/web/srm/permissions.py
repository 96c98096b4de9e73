"""The operations of SRM v2.2 on rights: getPermission, setPermission, checkPermission."""

from mdm_async.catalog.rights.kept_acls import as_told
from mdm_async.errors import MdmError
from mdm_async.images.rights import changes, permissions
from mdm_async.images.rights.changes import Change
from mdm_async.images.rights.effective import Effective, Given
from mdm_async.images.rights.origins import Origin
from mdm_async.images.rights.permissions import Told
from mdm_async.rules import Rules
from mdm_async.web.srm import forms as form
from mdm_async.web.srm.answers import Answer, Tree, many
from mdm_async.web.srm.context import Context


async def check_permission(context: Context, asked: form.Surls) -> Answer:
    context.bounded(asked.surls)
    found = await permissions.check_permission(
        context.archive.database, context.archive.views, context.caller, asked.surls
    )
    return many(
        [
            (surl, o if isinstance(o, MdmError) else {"permission": o.letters, "views": list(o.views)})
            for surl, o in found
        ]
    )


async def get_permission(context: Context, asked: form.GetPermission) -> Answer:
    context.bounded(asked.surls)
    found = await permissions.get_permission(
        context.archive.database,
        context.archive.mapping,
        context.caller,
        asked.surls,
        asked.parsed_principals(),
    )
    return many([(surl, o if isinstance(o, MdmError) else _told(o)) for surl, o in found])


async def set_permission(context: Context, asked: form.SetPermission) -> Answer:
    context.bounded(asked.surls)
    change = Change(asked.steps(), asked.default, asked.inherit, asked.recursive)
    found = await changes.set_permission(
        context.archive.database, context.archive.changed, context.caller, asked.surls, change
    )
    return many(
        [
            (surl, o if isinstance(o, MdmError) else {"changed": o.changed, "left": o.left})
            for surl, o in found
        ]
    )


def origin_tree(name: str, origin: Origin | None) -> Tree:
    """Left out where there is none, or whoever asks may not see it."""
    return {} if origin is None else {name: {"guid": str(origin.guid), "path": origin.lfn}}


def _told(told: Told) -> Tree:
    assert told.place.entry is not None
    tree: Tree = {
        "guid": str(told.place.entry.guid),
        "rules": as_told(told.rules),
        "inherited": not told.is_own,
        **origin_tree("inheritedFrom", told.origin),
    }
    if told.default is not None:
        tree["default"] = _default(told.default, own=told.default_is_own)
    if told.effective is not None:
        tree["effective"] = _effective(told.effective)
    return tree


def _default(rules: Rules, *, own: bool) -> Tree:
    return {"rules": as_told(rules), "own": own}


def _effective(found: Effective) -> Tree:
    return {
        "permission": found.rights,
        "given": [_given(one) for one in found.given],
        "blocked": found.blocked,
        **origin_tree("blockedAt", found.blocked_at),
    }


def _given(one: Given) -> Tree:
    (rule,) = as_told((one.rule,))
    tree: Tree = {"permission": one.right, "rule": rule, **origin_tree("from", one.origin)}
    return tree if one.view is None else {**tree, "view": one.view}
