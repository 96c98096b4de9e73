"""What the server said went wrong, as the classes of `errors`.

SRM answers carry a status code for the request and one for each file; all others carry a problem document
(RFC 9457). The problem type in either chooses the class; what tells none (a proxy's page) goes by its code or status.
"""

from collections.abc import Iterator, Mapping
from typing import Any, TypeAlias

import orjson

from mdm_async import errors
from mdm_async.errors import MdmError, Unavailable

Json: TypeAlias = dict[str, Any]

SUCCESS = frozenset(
    {
        "SRM_SUCCESS",
        "SRM_PARTIAL_SUCCESS",
        "SRM_DONE",
        "SRM_FILE_PINNED",
        "SRM_FILE_IN_CACHE",
        "SRM_SPACE_AVAILABLE",
        "SRM_RELEASED",
        "SRM_REQUEST_QUEUED",
        "SRM_REQUEST_INPROGRESS",
    }
)
PASSING = frozenset({429, 502, 503, 504})
"""HTTP statuses after which the same request may succeed; it was not carried out."""


def _kinds(kind: type[MdmError]) -> Iterator[type[MdmError]]:
    yield kind
    for child in kind.__subclasses__():
        yield from _kinds(child)


_BY_TYPE: dict[str, type[MdmError]] = {kind.urn: kind for kind in _kinds(MdmError)}
_BY_SRM: dict[str, type[MdmError]] = {
    "SRM_ABORTED": errors.Aborted,
    "SRM_AUTHENTICATION_FAILURE": errors.Unauthenticated,
    "SRM_AUTHORIZATION_FAILURE": errors.Forbidden,
    "SRM_DUPLICATION_ERROR": errors.Exists,
    "SRM_FILE_BUSY": errors.Busy,
    "SRM_FILE_LIFETIME_EXPIRED": errors.Gone,
    "SRM_FILE_LOST": errors.Lost,
    "SRM_FILE_UNAVAILABLE": errors.ViewRefused,
    "SRM_INTERNAL_ERROR": Unavailable,
    "SRM_INVALID_PATH": errors.NotFound,
    "SRM_INVALID_REQUEST": errors.BadRequest,
    "SRM_NON_EMPTY_DIRECTORY": errors.NotEmpty,
    "SRM_NOT_SUPPORTED": errors.NotSupported,
    "SRM_NO_FREE_SPACE": errors.NoSpace,
}
_BY_HTTP: dict[int, type[MdmError]] = {
    400: errors.BadRequest,
    401: errors.Unauthenticated,
    403: errors.Forbidden,
    404: errors.NotFound,
    405: errors.MethodNotAllowed,
    406: errors.NotAcceptable,
    409: errors.Busy,
    410: errors.Gone,
    412: errors.PreconditionFailed,
    413: errors.TooLarge,
    414: errors.UriTooLong,
    415: errors.UnsupportedMediaType,
    417: errors.ExpectationFailed,
    422: errors.WrongContent,
    423: errors.Locked,
    429: errors.TooManyRequests,
    431: errors.HeadTooLarge,
    501: errors.NotSupported,
    505: errors.VersionNotSupported,
    502: errors.BadGateway,
    503: Unavailable,
    504: Unavailable,
    507: errors.NoSpace,
}


def error_from_status(status: Mapping[str, Any]) -> MdmError | None:
    """The error that an SRM status tells, None when it tells success."""
    code = str(status.get("statusCode", "SRM_FAILURE"))
    if code in SUCCESS:
        return None
    kind = _BY_TYPE.get(str(status.get("type"))) or _BY_SRM.get(code, MdmError)
    return kind(
        str(status.get("explanation") or f"the server answered {code}"),
        remedy=str(status.get("remedy") or ""),
    )


def error_from_problem(http: int, body: bytes, headers: Mapping[str, str]) -> MdmError:
    """The error of an answer that is not SRM's: a problem document, or whatever a proxy in between said."""
    try:
        problem = orjson.loads(body)
    except orjson.JSONDecodeError:
        problem = {}
    if not isinstance(problem, dict):
        problem = {}
    return error_from_details(http, problem, headers)


def error_from_details(http: int, problem: Mapping[str, Any], headers: Mapping[str, str]) -> MdmError:
    """The error that the members of a problem document tell."""
    kind = _BY_TYPE.get(str(problem.get("type"))) or _BY_HTTP.get(http, MdmError)
    return kind(
        str(problem.get("detail") or problem.get("title") or f"the server answered HTTP {http}"),
        remedy=str(problem.get("remedy") or ""),
        retry_after=retry_after(headers),
    )


def retry_after(headers: Mapping[str, str]) -> int | None:
    """Retry-After in seconds (RFC 9110 §10.2.3); its date form is not used by our servers and is ignored."""
    text = headers.get("Retry-After", "")
    return int(text) if text.isascii() and text.isdigit() and len(text) < 7 else None
