"""The answers of SRM v2.2 as trees of the standard's field names; JSON now, SOAP can render the same trees."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from mdm_async.catalog.grants.grants import Grant
from mdm_async.errors import MdmError, ViewPending, ViewRefused
from mdm_async.images.names.listing import Detail
from mdm_async.images.parts import adler
from mdm_async.web.http import cursor

Tree = dict[str, Any]

SUCCESS = "SRM_SUCCESS"


@dataclass(frozen=True, slots=True)
class Answer:
    """A tree with `returnStatus`, and the HTTP status that means the same."""

    tree: Tree
    http: int = 200
    retry_after: int | None = None
    errors: Sequence[MdmError] = ()
    """Why the files that failed did."""


def status(code: str = SUCCESS, explanation: str | None = None, remedy: str | None = None) -> Tree:
    tree = {"statusCode": code}
    if explanation:
        tree["explanation"] = explanation
    if remedy:
        tree["remedy"] = remedy
    return tree


def failure(error: MdmError) -> Tree:
    """Several kinds of errors share a status code; `type` is the one by which clients tell them apart."""
    return status(error.srm, error.detail, error.remedy) | {"type": error.urn}


def one(**fields: Any) -> Answer:
    """The answer of a request about one thing that succeeded."""
    return Answer({"returnStatus": status(), **fields})


def failed(error: MdmError) -> Answer:
    """The answer of a request that failed as a whole."""
    return Answer({"returnStatus": failure(error)}, error.http, error.retry_after)


def many(files: Sequence[tuple[str, Mapping[str, Any] | MdmError]], **fields: Any) -> Answer:
    """The answer of a bulk request: every file's own status, and one for all of them."""
    errors = [outcome for _, outcome in files if isinstance(outcome, MdmError)]
    listed = [
        {"surl": surl, "status": failure(outcome), **_view_state(outcome)}
        if isinstance(outcome, MdmError)
        else {"surl": surl, "status": status(), **outcome}
        for surl, outcome in files
    ]
    tree = {"returnStatus": _overall(files, errors), **fields, "files": listed}
    if not errors or len(errors) < len(files):
        return Answer(tree, errors=errors)
    same = {error.http for error in errors}
    waits = [error.retry_after for error in errors if error.retry_after is not None]
    return Answer(tree, same.pop() if len(same) == 1 else 422, max(waits, default=None), errors)


def _view_state(error: MdmError) -> Tree:
    """Refused stays so; pending is worth another try."""
    if isinstance(error, ViewRefused | ViewPending):
        return {"viewState": "refused" if isinstance(error, ViewRefused) else "pending"}
    return {}


def _overall(files: Sequence[object], errors: Sequence[MdmError]) -> Tree:
    if not errors:
        return status()
    if len(errors) < len(files):
        return status("SRM_PARTIAL_SUCCESS", f"{len(errors)} of {len(files)} files failed")
    if len({error.srm for error in errors}) == 1 and errors[0].srm == "SRM_INTERNAL_ERROR":
        return failure(errors[0])
    if len(errors) == 1:
        return failure(errors[0]) | {"statusCode": "SRM_FAILURE"}
    return status("SRM_FAILURE", "every file failed")


def when(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")


def detail(found: Detail) -> Tree:
    """TMetaDataPathDetail. A size that is not known is left out, never 0."""
    entry = found.entry
    tree: Tree = {
        "path": found.lfn,
        "type": "DIRECTORY" if entry.is_directory else "FILE",
        "guid": str(entry.guid),
        "createdAtTime": when(entry.created),
        "lastModificationTime": when(entry.modified),
    }
    if entry.is_directory:
        if found.children:
            tree["subPaths"] = [{"status": status(), **detail(child)} for child in found.children]
        if found.last is not None:
            tree["nextCursor"] = cursor.encode(found.last)
        return tree
    tree |= {"fileStorageType": "PERMANENT", "retentionPolicyInfo": "CUSTODIAL"}
    if found.locality is not None:
        tree["fileLocality"] = found.locality
    if found.view is not None:
        tree["view"] = found.view
    if found.state is not None:
        tree["viewState"] = found.state
    if found.reason is not None:
        tree["viewReason"] = found.reason
    if found.size is not None and found.adler32 is not None:
        tree |= {"size": found.size, "checkSumType": "ADLER32", "checkSumValue": adler.text(found.adler32)}
    return tree


_STATES = {
    ("get", "pinned"): "SRM_FILE_PINNED",
    ("put", "open"): "SRM_SPACE_AVAILABLE",
    ("put", "uploaded"): "SRM_SPACE_AVAILABLE",
    ("put", "done"): SUCCESS,
    ("bring_online", "done"): SUCCESS,
}


def item_code(item: Grant) -> str:
    """How one item of a request stands, as SRM status code."""
    if item.state == "failed":
        return item.failure or "SRM_FAILURE"
    if item.state == "released":
        return "SRM_RELEASED"
    if item.state == "aborted":
        return "SRM_ABORTED"
    if item.state != "done" and item.life <= 0:
        return "SRM_FILE_LIFETIME_EXPIRED"
    return _STATES[item.operation, item.state]


def items(found: Sequence[tuple[str, Grant | MdmError]], request: UUID) -> Answer:
    """The items of a request, as they stand. Transfer URLs are told once: they are known here by hash only."""
    bad = sum(isinstance(item, MdmError) or item.state == "failed" for _, item in found)
    overall = status() if not bad else status("SRM_PARTIAL_SUCCESS" if bad < len(found) else "SRM_FAILURE")
    files = [
        {"surl": surl, **({"status": failure(item)} if isinstance(item, MdmError) else _standing(item))}
        for surl, item in found
    ]
    return Answer({"returnStatus": overall, "requestToken": str(request), "files": files})


def _standing(item: Grant) -> Tree:
    tree: Tree = {"status": status(item_code(item), item.explanation)}
    if item.state in ("pinned", "open", "uploaded") and item.life > 0:
        tree["remainingPinTime"] = int(item.life)
    return tree


def summary(found: Sequence[Grant], request: UUID) -> Tree:
    bad = sum(item.state in ("failed", "aborted") for item in found)
    waiting = sum(item.operation == "put" and item.state in ("open", "uploaded") for item in found)
    kinds = {"get": "PREPARE_TO_GET", "put": "PREPARE_TO_PUT", "bring_online": "BRING_ONLINE"}
    return {
        "requestToken": str(request),
        "status": status(),
        "requestType": kinds[found[0].operation],
        "totalNumFilesInRequest": len(found),
        "numOfCompletedFiles": len(found) - bad - waiting,
        "numOfWaitingFiles": waiting,
        "numOfFailedFiles": bad,
    }
