"""The operations of SRM v2.2 on rights: getPermission, setPermission, checkPermission."""

from mdm_async.errors import MdmError
from mdm_async.images.rights import changes, modes, permissions
from mdm_async.images.rights.changes import Change
from mdm_async.web.srm import forms as form
from mdm_async.web.srm.context import Context
from mdm_async.web.srm.results import Files, OwnPermission, PermissionDetail, PermissionSet


async def check_permission(context: Context, asked: form.Surls) -> Files[OwnPermission]:
    found = await permissions.check_permission(context.database, context.views, context.caller, asked.surls)
    return Files.done(
        [
            OwnPermission.failed(surl, one)
            if isinstance(one, MdmError)
            else OwnPermission(surl=surl, permission=one.letters, mode=one.mode, views=one.views)
            for surl, one in found
        ]
    )


async def get_permission(context: Context, asked: form.GetPermission) -> Files[PermissionDetail]:
    found = await permissions.get_permission(
        context.database, context.mapping, context.caller, asked.surls, asked.parsed_principals()
    )
    return Files.done(
        [
            PermissionDetail.failed(surl, one)
            if isinstance(one, MdmError)
            else PermissionDetail(surl=surl, told=one, modes=modes.told(context.caller, one.place, one.rules))
            for surl, one in found
        ]
    )


async def set_permission(context: Context, asked: form.SetPermission) -> Files[PermissionSet]:
    steps = asked.steps(context.caller)
    change = Change(steps, asked.default, asked.inherit, asked.recursive, spares_identities=asked.in_modes)
    found = await changes.set_permission(
        context.database, context.changed, context.caller, asked.surls, change
    )
    return Files.done(
        [
            PermissionSet.failed(surl, one)
            if isinstance(one, MdmError)
            else PermissionSet(surl=surl, changed=one.changed, left=one.left)
            for surl, one in found
        ]
    )
