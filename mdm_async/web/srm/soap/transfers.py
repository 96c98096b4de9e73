"""The operations that begin and end transfers."""

from typing import Final

from mdm_async.web.srm.results import BringOnlineFile, CopiedFile, File, Files, GetFile, PutFile
from mdm_async.web.srm.soap.reading import Tree
from mdm_async.web.srm.soap.shapes import Spoken, file_statuses, lifetime, named, of_all, status

_WAIT: Final = 5
"""Seconds after which it is worth asking again."""
_WAITING: Final = ("SRM_REQUEST_QUEUED", "SRM_REQUEST_INPROGRESS")
_FOR_SEALED: Final = "http"
"""Nobody who speaks SOAP can seal what they send: what needs no seal goes first."""


def _common(asked: Tree, pin: str) -> Tree:
    protocols = (asked.get("transferParameters") or {}).get("arrayOfTransferProtocols")
    return named(asked, userRequestDescription="userRequestDescription") | {
        "desiredPinLifeTime": lifetime(asked.get(pin)),
        "transferProtocols": sorted(protocols, key=lambda one: one == _FOR_SEALED) if protocols else None,
    }


def _get_form(asked: Tree) -> Tree:
    return _reading(asked, "desiredPinLifeTime")


def _bring_online_form(asked: Tree) -> Tree:
    return _reading(asked, "desiredLifeTime")


def _reading(asked: Tree, pin: str) -> Tree:
    files = [{"surl": one["sourceSURL"]} for one in asked["arrayOfFileRequests"]]
    return _common(asked, pin) | {"files": files}


def _put_form(asked: Tree) -> Tree:
    # A size of 0 is one that the client does not know.
    files = [
        named(one, surl="targetSURL") | {"expectedFileSize": one.get("expectedFileSize") or None}
        for one in asked.get("arrayOfFileRequests", ())
    ]
    overwrite = asked.get("overwriteOption") in ("ALWAYS", "WHEN_FILES_ARE_DIFFERENT")
    return _common(asked, "desiredPinLifeTime") | {"files": files, "overwrite": overwrite}


def _copy_form(asked: Tree) -> Tree:
    """What a storage system is to be told are header fields for the other server."""
    told = [*asked.get("sourceStorageSystemInfo", ()), *asked.get("targetStorageSystemInfo", ())]
    return {
        "files": asked["arrayOfFileRequests"],
        "overwrite": asked.get("overwriteOption") == "ALWAYS",
        "storageSystemInfo": told,
    }


def _told_copy(result: Files[CopiedFile]) -> Tree:
    return _told(
        result,
        [
            {
                "sourceSURL": file.surl,
                "targetSURL": file.target,
                "status": status(file.status),
                "estimatedWaitTime": _wait(file.status.code),
            }
            for file in result.files
        ],
    )


def _of_request(asked: Tree, surls: str) -> Tree:
    return named(asked, requestToken="requestToken", surls=surls)


def _told_get(result: Files[GetFile]) -> Tree:
    return _told(
        result,
        [
            {
                "sourceSURL": file.surl,
                "status": status(file.status),
                "fileSize": file.size,
                "estimatedWaitTime": file.estimated_wait or _wait(file.status.code),
                "remainingPinTime": file.remaining_pin_time,
                "transferURL": file.transfer_url,
            }
            for file in result.files
        ],
    )


def _told_bring_online(result: Files[BringOnlineFile]) -> Tree:
    return _told(
        result,
        [
            {
                "sourceSURL": file.surl,
                "status": status(file.status),
                "estimatedWaitTime": file.estimated_wait or _wait(file.status.code),
                "remainingPinTime": file.remaining_pin_time,
            }
            for file in result.files
        ],
    )


def _told_put(result: Files[PutFile]) -> Tree:
    return _told(
        result,
        [
            {
                "SURL": file.surl,
                "status": status(file.status),
                "remainingPinLifetime": file.remaining_pin_time,
                "transferURL": file.transfer_url,
            }
            for file in result.files
        ],
    )


def _told(result: Files[File], files: list[Tree]) -> Tree:
    return of_all(result) | {"requestToken": result.request_token, "arrayOfFileStatuses": files}


def _status_told(tree: Tree) -> Tree:
    """The responses to questions have no token in them."""
    return {name: value for name, value in tree.items() if name != "requestToken"}


def _wait(code: str) -> int | None:
    return _WAIT if code in _WAITING else None


SPOKEN: Final = {
    "srmPrepareToGet": Spoken("prepareToGet", _get_form, _told_get),
    "srmStatusOfGetRequest": Spoken(
        "statusOfGetRequest",
        lambda asked: _of_request(asked, "arrayOfSourceSURLs"),
        lambda result: _status_told(_told_get(result)),
    ),
    "srmBringOnline": Spoken("bringOnline", _bring_online_form, _told_bring_online),
    "srmStatusOfBringOnlineRequest": Spoken(
        "statusOfBringOnlineRequest",
        lambda asked: _of_request(asked, "arrayOfSourceSURLs"),
        lambda result: _status_told(_told_bring_online(result)),
    ),
    "srmPrepareToPut": Spoken("prepareToPut", _put_form, _told_put),
    "srmStatusOfPutRequest": Spoken(
        "statusOfPutRequest",
        lambda asked: _of_request(asked, "arrayOfTargetSURLs"),
        lambda result: _status_told(_told_put(result)),
    ),
    "srmCopy": Spoken("copy", _copy_form, _told_copy),
    "srmStatusOfCopyRequest": Spoken(
        "statusOfCopyRequest",
        lambda asked: named(asked, requestToken="requestToken"),
        lambda result: _status_told(_told_copy(result)),
    ),
    "srmPutDone": Spoken("putDone", lambda asked: _of_request(asked, "arrayOfSURLs"), file_statuses),
}
