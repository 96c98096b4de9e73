"""What the server said went wrong, as the classes of `errors`.

SRM answers carry a status code for the request and one for each file; all others carry a problem document
(RFC 9457). Several classes share a code, so the title or the HTTP status decides between them.
"""

from collections.abc import Iterable, Iterator, Mapping
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
        "SRM_ABORTED",
        "SRM_REQUEST_QUEUED",
        "SRM_REQUEST_INPROGRESS",
    }
)
PASSING = frozenset({429, 502, 503, 504})
"""HTTP statuses after which the same request may succeed; it was not carried out."""


def _kinds(parent: type[MdmError]) -> Iterator[type[MdmError]]:
    for kind in parent.__subclasses__():
        yield kind
        yield from _kinds(kind)


_ALL = tuple(_kinds(MdmError))
_BY_SRM: dict[str, type[MdmError]] = {
    "SRM_INVALID_PATH": errors.NotFound,
    "SRM_INVALID_REQUEST": errors.BadRequest,
    "SRM_AUTHORIZATION_FAILURE": errors.Forbidden,
    "SRM_FILE_UNAVAILABLE": errors.ViewRefused,
    "SRM_INTERNAL_ERROR": errors.Unavailable,
    "SRM_FAILURE": MdmError,
    "SRM_NON_EMPTY_DIRECTORY": errors.NotEmpty,
    "SRM_NOT_SUPPORTED": errors.NotSupported,
}
_BY_HTTP: dict[int, type[MdmError]] = {
    400: errors.BadRequest,
    401: errors.Unauthenticated,
    403: errors.Forbidden,
    404: errors.NotFound,
    409: errors.Busy,
    410: errors.Gone,
    413: errors.TooLarge,
    422: errors.WrongContent,
    429: errors.TooManyRequests,
    501: errors.NotSupported,
    502: Unavailable,
    503: Unavailable,
    504: Unavailable,
    507: errors.NoSpace,
}


def _only(candidates: Iterable[type[MdmError]], default: type[MdmError]) -> type[MdmError]:
    """The one candidate that all the others are kinds of, else the default."""
    found = list(candidates)
    for kind in found:
        if all(issubclass(other, kind) for other in found):
            return kind
    return default


def error_from_status(status: Mapping[str, Any], http: int | None = None) -> MdmError | None:
    """The error that an SRM status tells, None when it tells success. `http` is the whole answer's status."""
    code = str(status.get("statusCode", "SRM_FAILURE"))
    if code in SUCCESS:
        return None
    kind = _BY_SRM.get(code) or _only((k for k in _ALL if k.srm == code), MdmError)
    if http is not None and http >= 400:
        kind = _only((k for k in _ALL if k.srm == code and k.http == http), kind)
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
    title = problem.get("title")
    kind = _BY_HTTP.get(http, Unavailable if http >= 500 and http in PASSING else MdmError)
    kind = next((k for k in _ALL if k.title == title and k.http == http), kind)
    return kind(
        str(problem.get("detail") or title or f"the server answered HTTP {http}"),
        remedy=str(problem.get("remedy") or ""),
        retry_after=retry_after(headers),
    )


def retry_after(headers: Mapping[str, str]) -> int | None:
    """Retry-After in seconds (RFC 9110 §10.2.3); its date form is not used by our servers and is ignored."""
    text = headers.get("Retry-After", "")
    return int(text) if text.isascii() and text.isdigit() and len(text) < 7 else None
