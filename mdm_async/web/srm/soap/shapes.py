"""What all operations over SOAP are made of, and the fields that many of them share."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from mdm_async.web.srm.results import File, Files, Result, ReturnStatus, SurlStatus
from mdm_async.web.srm.soap.reading import Tree


@dataclass(frozen=True, slots=True)
class Spoken:
    operation: str
    """Its name in `web.srm.operations.OPERATIONS`."""
    form: Callable[[Tree], Tree]
    told: Callable[[Any], Tree]


def status(of: ReturnStatus) -> Tree:
    """TReturnStatus."""
    explanation = of.explanation
    if of.error is not None and of.error.remedy:
        explanation = f"{explanation}; {of.error.remedy}"
    return {"statusCode": of.code, "explanation": explanation}


def nothing(_: object) -> Tree:
    return {}


def named(asked: Tree, **fields: str) -> Tree:
    """The form's fields by those of the request that they come from, where these are there and hold anything."""
    found = {name: asked.get(field) for name, field in fields.items()}
    return {name: value for name, value in found.items() if value not in (None, [], "")}


def lifetime(seconds: int | None) -> int | None:
    """0 and less stand for the server's own choice."""
    return seconds if seconds is not None and seconds > 0 else None


def file_statuses(result: Files[SurlStatus]) -> Tree:
    """ArrayOfTSURLReturnStatus."""
    return {
        "arrayOfFileStatuses": [{"surl": file.surl, "status": status(file.status)} for file in result.files]
        or None
    }


def of_all(result: Files[File]) -> Tree:
    """The status of a request that begins transfers: what all its files failed for, where that is one and the same,
    for clients of one file look no further."""
    codes = {file.status.code for file in result.files}
    if len(codes) == 1 and len(result.errors) == len(result.files):
        return {"returnStatus": status(result.files[0].status)}
    return {}


def only_status(result: Result) -> Tree:
    """Of an operation on one file, whose response has room for one status alone: the file's."""
    if isinstance(result, Files) and len(result.files) == 1:
        return {"returnStatus": status(result.files[0].status)}
    return {}
