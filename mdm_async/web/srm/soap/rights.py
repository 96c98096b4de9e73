"""The operations on rights, in the modes of owner, users, groups and others."""

from typing import Final

from mdm_async.web.srm.results import Files, OwnPermission, PermissionDetail
from mdm_async.web.srm.soap.reading import Tree
from mdm_async.web.srm.soap.shapes import Spoken, named, only_status, status


def _set_form(asked: Tree) -> Tree:
    return named(
        asked,
        permissionType="permissionType",
        ownerPermission="ownerPermission",
        userPermissions="arrayOfUserPermissions",
        groupPermissions="arrayOfGroupPermissions",
        otherPermission="otherPermission",
    ) | {"surls": [asked["SURL"]]}


def _checked(result: Files[OwnPermission]) -> Tree:
    return {
        "arrayOfPermissions": [
            {"surl": file.surl, "status": status(file.status), "permission": file.mode}
            for file in result.files
        ]
    }


def _told(result: Files[PermissionDetail]) -> Tree:
    return {"arrayOfPermissionReturns": [_detail(file) for file in result.files]}


def _detail(file: PermissionDetail) -> Tree:
    tree: Tree = {"surl": file.surl, "status": status(file.status)}
    if file.modes is not None:
        users = [{"userID": one, "mode": mode} for one, mode in file.modes.users.items()]
        groups = [{"groupID": one, "mode": mode} for one, mode in file.modes.groups.items()]
        tree |= {
            "owner": file.modes.owner,
            "ownerPermission": file.modes.owner_mode,
            "arrayOfUserPermissions": users or None,
            "arrayOfGroupPermissions": groups or None,
            "otherPermission": file.modes.other_mode,
        }
    return tree


SPOKEN: Final = {
    "srmSetPermission": Spoken("setPermission", _set_form, only_status),
    "srmCheckPermission": Spoken(
        "checkPermission", lambda asked: named(asked, surls="arrayOfSURLs"), _checked
    ),
    "srmGetPermission": Spoken("getPermission", lambda asked: named(asked, surls="arrayOfSURLs"), _told),
}
