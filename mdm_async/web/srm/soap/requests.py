"""The operations on requests made before."""

from typing import Final

from mdm_async.errors import NotSupported
from mdm_async.web.srm.results import ExtendedFile, Files, RequestSummaries, RequestSummary, RequestTokens
from mdm_async.web.srm.soap.reading import Tree
from mdm_async.web.srm.soap.shapes import Spoken, file_statuses, lifetime, named, nothing, status

_FOR_EVER: Final = -1


def _of_request(asked: Tree) -> Tree:
    return named(asked, requestToken="requestToken", surls="arrayOfSURLs")


def _extend_form(asked: Tree) -> Tree:
    if not asked.get("requestToken"):
        raise NotSupported("files are kept for ever", remedy="name the request whose pins are to live on")
    return _of_request(asked) | {
        name: lifetime(asked.get(name)) for name in ("newPinLifeTime", "newFileLifeTime")
    }


def _extended(result: Files[ExtendedFile]) -> Tree:
    return {
        "arrayOfFileStatuses": [
            {
                "surl": file.surl,
                "status": status(file.status),
                "fileLifetime": _FOR_EVER,
                "pinLifetime": file.pin_lifetime,
            }
            for file in result.files
        ]
    }


def _tokens(result: RequestTokens) -> Tree:
    tokens = [{"requestToken": str(one.token), "createdAtTime": one.created} for one in result.tokens]
    return {"arrayOfRequestTokens": tokens or None}


def _summaries(result: RequestSummaries) -> Tree:
    return {"arrayOfRequestSummaries": [_summary(one) for one in result.summaries]}


def _summary(one: RequestSummary) -> Tree:
    tree: Tree = {"requestToken": one.token, "status": status(one.status)}
    if one.counts is not None:
        tree |= {
            "requestType": one.counts.request_type,
            "totalNumFilesInRequest": one.counts.total,
            "numOfCompletedFiles": one.counts.completed,
            "numOfWaitingFiles": one.counts.waiting,
            "numOfFailedFiles": one.counts.failed,
        }
    return tree


SPOKEN: Final = {
    "srmReleaseFiles": Spoken("releaseFiles", _of_request, file_statuses),
    "srmAbortRequest": Spoken("abortRequest", _of_request, nothing),
    "srmAbortFiles": Spoken("abortFiles", _of_request, file_statuses),
    "srmExtendFileLifeTime": Spoken("extendFileLifeTime", _extend_form, _extended),
    "srmGetRequestTokens": Spoken(
        "getRequestTokens",
        lambda asked: named(asked, userRequestDescription="userRequestDescription"),
        _tokens,
    ),
    "srmGetRequestSummary": Spoken(
        "getRequestSummary", lambda asked: named(asked, requestTokens="arrayOfRequestTokens"), _summaries
    ),
}
