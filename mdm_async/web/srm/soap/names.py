"""The operations on names, and those on the server itself."""

from typing import Final

from mdm_async.images.names.listing import MOST
from mdm_async.web.srm import results
from mdm_async.web.srm.results import (
    FileFacts,
    Files,
    Listed,
    PathDetail,
    ReturnStatus,
    TransferProtocols,
    Version,
)
from mdm_async.web.srm.soap.reading import Tree
from mdm_async.web.srm.soap.shapes import Spoken, file_statuses, named, nothing, status

_FOR_EVER: Final = -1


def _ping(result: Version) -> Tree:
    other = [{"key": key, "value": value} for key, value in result.other_info]
    return {"versionInfo": result.version, "otherInfo": other}


def _protocols(result: TransferProtocols) -> Tree:
    return {"protocolInfo": [{"transferProtocol": protocol} for protocol in result.protocols]}


def _ls_form(asked: Tree) -> Tree:
    levels = 1 if asked.get("allLevelRecursive") else asked.get("numOfLevels", 1)
    # Clients that say nothing take the answer for all there is.
    count = min(asked.get("count") or MOST, MOST)
    return named(asked, surls="arrayOfSURLs", offset="offset", fullDetailedList="fullDetailedList") | {
        "numOfLevels": max(0, min(levels, 1)),
        "count": count,
    }


def _ls(result: Files[Listed]) -> Tree:
    return {"details": [_listed(file) for file in result.files]}


def _listed(file: Listed) -> Tree:
    path = _path(file.surl)
    if file.detail is None:
        return {"path": path, "status": status(file.status)}
    if not path.startswith("/"):
        path = file.detail.path
    tree = _detail(file.detail, path)
    if file.detail.next_cursor is not None and len(file.detail.below) == MOST:
        why = f"the directory has more than the {MOST} entries that one answer tells; ask on with an offset"
        tree["status"] = status(ReturnStatus("SRM_TOO_MANY_RESULTS", why))
    return tree


def _path(surl: str) -> str:
    """As it was asked for, of a SURL in whatever form."""
    if surl.startswith("srm://"):
        _, found, path = surl.partition("?SFN=")
        return path if found else "/" + surl.removeprefix("srm://").partition("/")[2]
    return surl


def _detail(found: PathDetail, path: str) -> Tree:
    within = path.rstrip("/")
    tree: Tree = {
        "path": path,
        "status": status(results.SUCCESS),
        "size": 0,
        "createdAtTime": found.created,
        "lastModificationTime": found.modified,
        "type": found.kind,
        "arrayOfSubPaths": [
            _detail(child, f"{within}/{child.path.rpartition('/')[2]}") for child in found.below
        ]
        or None,
    }
    if found.modes is not None:
        tree |= {
            "ownerPermission": {"userID": found.modes.owner, "mode": found.modes.owner_mode},
            "otherPermission": found.modes.other_mode,
        }
        if found.modes.group is not None:
            tree["groupPermission"] = {"groupID": found.modes.group, "mode": found.modes.group_mode}
    return tree if found.file is None else tree | _of_file(found.file)


def _of_file(file: FileFacts) -> Tree:
    nearline = file.locality is not None and not file.locality.is_online
    return {
        "size": file.size,
        "fileStorageType": file.storage_type,
        "retentionPolicyInfo": {
            "retentionPolicy": file.retention_policy,
            "accessLatency": "NEARLINE" if nearline else "ONLINE",
        },
        "fileLocality": file.locality,
        "arrayOfSpaceTokens": [file.space_token],
        "lifetimeAssigned": _FOR_EVER,
        "lifetimeLeft": _FOR_EVER,
        "checkSumType": file.checksum and file.checksum.kind,
        "checkSumValue": file.checksum and file.checksum.value,
    }


SPOKEN: Final = {
    "srmPing": Spoken("ping", nothing, _ping),
    "srmGetTransferProtocols": Spoken("getTransferProtocols", nothing, _protocols),
    "srmLs": Spoken("ls", _ls_form, _ls),
    "srmMkdir": Spoken("mkdir", lambda asked: named(asked, surl="SURL"), nothing),
    "srmRmdir": Spoken("rmdir", lambda asked: named(asked, surl="SURL", recursive="recursive"), nothing),
    "srmRm": Spoken("rm", lambda asked: named(asked, surls="arrayOfSURLs"), file_statuses),
    "srmMv": Spoken("mv", lambda asked: named(asked, fromSURL="fromSURL", toSURL="toSURL"), nothing),
}
