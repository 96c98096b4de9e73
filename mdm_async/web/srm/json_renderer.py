"""Results as JSON: the standard's field names, its arrays without their `arrayOf…` wrapping, and HTTP's status."""

from base64 import b64encode
from collections.abc import Callable
from datetime import datetime
from typing import Any

from mdm_async.catalog.rights.kept_acls import as_told
from mdm_async.errors import ViewPending, ViewRefused
from mdm_async.images.rights.effective import Effective, Given
from mdm_async.images.rights.modes import Seen
from mdm_async.images.rights.origins import Origin
from mdm_async.images.rights.permissions import Told
from mdm_async.rules import Rules
from mdm_async.web.srm import results
from mdm_async.web.srm.results import (
    PARTIAL,
    Checksum,
    DirectoryMade,
    File,
    Files,
    PathDetail,
    RequestSummaries,
    RequestSummary,
    RequestTokens,
    Result,
    ReturnStatus,
    Sealed,
    Space,
    Spaces,
    SpaceTokens,
    SurlStatus,
    TransferProtocols,
    Version,
)

Tree = dict[str, Any]


def http_status(result: Result) -> int:
    """200 while anything succeeded; else what all errors have in common."""
    failed = {error.http for error in result.errors}
    if not failed or result.status.code == PARTIAL:
        return 200
    return failed.pop() if len(failed) == 1 else 422


def tree(result: Result) -> Tree:
    if isinstance(result, Files):
        return files_tree(result, _file)
    return {"returnStatus": _status(result.status), **_told(result)}


def files_tree(result: Files[File], told: Callable[[File], Tree]) -> Tree:
    """`told`: what is said of a file beside its status."""
    files = [{**_surl_status(file), **told(file)} for file in result.files]
    return {
        "returnStatus": _status(result.status),
        **_known(requestToken=result.request_token),
        "files": files,
    }


def _told(result: Result) -> Tree:
    match result:
        case Version():
            other = [{"key": key, "value": value} for key, value in result.other_info]
            return {"versionInfo": result.version, "otherInfo": other}
        case TransferProtocols():
            return {"protocolInfo": [{"transferProtocol": protocol} for protocol in result.protocols]}
        case DirectoryMade():
            return {"guid": str(result.guid)}
        case SpaceTokens():
            return {"spaceTokens": list(result.tokens)}
        case Spaces():
            return {"spaces": [_space(one) for one in result.spaces]}
        case RequestTokens():
            tokens = [
                {"requestToken": str(one.token), "createdAtTime": when(one.created)} for one in result.tokens
            ]
            return {"requestTokens": tokens}
        case RequestSummaries():
            return {"requestSummaries": [_summary(one) for one in result.summaries]}
    return {}


def _surl_status(file: SurlStatus) -> Tree:
    told: Tree = {"surl": file.surl, "status": _status(file.status)}
    # Refused stays so; pending is worth another try.
    if isinstance(file.status.error, ViewRefused | ViewPending):
        told["viewState"] = "refused" if isinstance(file.status.error, ViewRefused) else "pending"
    return told


def _status(status: ReturnStatus) -> Tree:
    told = {"statusCode": status.code}
    if status.explanation:
        told["explanation"] = status.explanation
    if status.error is not None:
        if status.error.remedy:
            told["remedy"] = status.error.remedy
        # Several kinds of errors share a status code; by the type clients tell them apart.
        told["type"] = status.error.urn
    return told


def _file(file: SurlStatus) -> Tree:
    match file:
        case results.Listed():
            return _detail(file.detail) if file.detail is not None else {}
        case results.GetFile():
            return _known(
                transferURL=file.transfer_url,
                fileSize=file.size,
                remainingPinTime=file.remaining_pin_time,
                estimatedWaitTime=file.estimated_wait,
                **_checksum(file.checksum),
                view=file.view,
                **_sealed(file.sealed, file.sender_public_key),
            )
        case results.PutFile():
            return _known(
                transferURL=file.transfer_url,
                uploadRecipient=_base64(file.upload_recipient),
                remainingPinTime=file.remaining_pin_time,
            )
        case results.BringOnlineFile():
            return _known(remainingPinTime=file.remaining_pin_time, estimatedWaitTime=file.estimated_wait)
        case results.CopiedFile():
            return {"targetSURL": file.target}
        case results.PublishedFile():
            return _known(guid=_text(file.guid), path=file.path)
        case results.ExtendedFile():
            return _known(newPinLifeTime=file.pin_lifetime)
        case results.OwnPermission(permission=str()):
            return {"permission": file.permission, "views": list(file.views)}
        case results.PermissionDetail():
            return _permission(file.told) if file.told is not None else {}
        case results.PermissionSet():
            return _known(changed=file.changed, left=file.left)
    return {}


def _detail(found: PathDetail) -> Tree:
    told: Tree = {
        "path": found.path,
        "type": found.kind,
        "guid": str(found.guid),
        "createdAtTime": when(found.created),
        "lastModificationTime": when(found.modified),
    }
    if found.modes is not None:
        told |= _modes(found.modes)
    if found.below:
        told["subPaths"] = [{"status": _status(results.SUCCESS), **_detail(child)} for child in found.below]
    if found.next_cursor is not None:
        told["nextCursor"] = found.next_cursor
    if found.file is not None:
        told |= _known(
            fileLocality=found.file.locality,
            fileStorageType=found.file.storage_type,
            retentionPolicyInfo=found.file.retention_policy,
            view=found.file.view,
            viewState=found.file.view_state,
            viewReason=found.file.view_reason,
            size=found.file.size,
            **_checksum(found.file.checksum),
        )
    return told


def _modes(seen: Seen) -> Tree:
    told: Tree = {
        "ownerPermission": {"userID": seen.owner, "mode": seen.owner_mode},
        "otherPermission": seen.other_mode,
    }
    if seen.group is not None:
        told["groupPermission"] = {"groupID": seen.group, "mode": seen.group_mode}
    return told


def _sealed(sealed: Sealed | None, sender: bytes | None) -> Tree:
    if sealed is None:
        return _known(senderPublicKey=_base64(sender))
    return {
        "senderPublicKey": _base64(sealed.sender_public_key),
        "plainSize": sealed.plain_size,
        "plainCheckSumType": sealed.plain_checksum.kind,
        "plainCheckSumValue": sealed.plain_checksum.value,
        "sealedParts": [
            {"plainSize": part.plain_size, "noncePrefix": part.prefix.hex(), "padded": part.padded}
            for part in sealed.parts
        ],
    }


def _space(one: Space) -> Tree:
    told: Tree = {"spaceToken": one.token, "status": _status(one.status)}
    if one.share is not None:
        told |= _known(totalSize=one.share.total, usedSize=one.share.used, unusedSize=one.share.left)
    return told


def _summary(one: RequestSummary) -> Tree:
    told: Tree = {"requestToken": one.token, "status": _status(one.status)}
    if one.counts is not None:
        told |= {
            "requestType": one.counts.request_type,
            "totalNumFilesInRequest": one.counts.total,
            "numOfCompletedFiles": one.counts.completed,
            "numOfWaitingFiles": one.counts.waiting,
            "numOfFailedFiles": one.counts.failed,
        }
    return told


def _permission(told: Told) -> Tree:
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


def origin_tree(name: str, origin: Origin | None) -> Tree:
    """Left out where there is none, or whoever asks may not see it."""
    return {} if origin is None else {name: {"guid": str(origin.guid), "path": origin.lfn}}


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


def when(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")


def _checksum(found: Checksum | None) -> Tree:
    return {} if found is None else {"checkSumType": found.kind, "checkSumValue": found.value}


def _base64(key: bytes | None) -> str | None:
    return None if key is None else b64encode(key).decode()


def _text(guid: object) -> str | None:
    return None if guid is None else str(guid)


def _known(**fields: Any) -> Tree:
    return {name: value for name, value in fields.items() if value is not None}
