"""What the fields of SOAP mean: for each operation of SRM v2.2 that is served, its form and its answer.

To add an operation: have it in `web.srm.operations` (JSON gets it so), write two functions here or in a file beside
this one, and name them in `SPOKEN` under the standard's name.

- `form` makes of the request's fields those of the operation's form in `web.srm.forms`. What it is given is a plain
  tree: names as in `tables/types.csv`, structures as dicts, every `ArrayOf…` a plain list without its wrapping, numbers
  and booleans as such, enumerations already checked, text as its user typed it, and nothing where a field was absent or
  nil. The form itself is checked by pydantic afterwards: bounds, lengths and how many files are no business of `form`.
- `told` makes of the operation's typed result the fields of its response beside `returnStatus`, in the same plain
  shape; what is None is left out, a `datetime` is written in UTC. A field that the tables do not have is a ValueError,
  so tests find it. Both are pure: no request, no await.

`status` and `surl_statuses` are for every response. An operation of the tables without a line here answers
SRM_NOT_SUPPORTED in its right shape.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from mdm_async.web.srm import results
from mdm_async.web.srm.results import Files, Listed, PathDetail, ReturnStatus, SurlStatus, Version
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


def surl_statuses(result: Files[SurlStatus]) -> list[Tree]:
    """ArrayOfTSURLReturnStatus."""
    return [{"surl": file.surl, "status": status(file.status)} for file in result.files]


def _nothing(_asked: Tree) -> Tree:
    return {}


def _ping(result: Version) -> Tree:
    other = [{"key": key, "value": value} for key, value in result.other_info]
    return {"versionInfo": result.version, "otherInfo": other}


def _ls_form(asked: Tree) -> Tree:
    levels = 1 if asked.get("allLevelRecursive") else asked.get("numOfLevels", 1)
    named: Tree = {name: asked[name] for name in ("offset", "count", "fullDetailedList") if name in asked}
    return named | {"surls": asked["arrayOfSURLs"], "numOfLevels": min(levels, 1)}


def _ls(result: Files[Listed]) -> Tree:
    return {"details": [_listed(file) for file in result.files]}


def _listed(file: Listed) -> Tree:
    if file.detail is None:
        return {"path": file.surl, "status": status(file.status)}
    return _detail(file.detail)


def _detail(found: PathDetail) -> Tree:
    tree: Tree = {
        "path": found.path,
        "status": status(results.SUCCESS),
        "size": 0,
        "createdAtTime": found.created,
        "lastModificationTime": found.modified,
        "type": found.kind,
        "arrayOfSubPaths": [_detail(child) for child in found.below] or None,
    }
    if found.file is not None:
        tree |= {
            "size": found.file.size,
            "fileStorageType": found.file.storage_type,
            "fileLocality": found.file.locality,
            "checkSumType": found.file.checksum and found.file.checksum.kind,
            "checkSumValue": found.file.checksum and found.file.checksum.value,
        }
    return tree


SPOKEN = {
    "srmPing": Spoken("ping", _nothing, _ping),
    "srmLs": Spoken("ls", _ls_form, _ls),
}
