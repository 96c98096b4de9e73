"""What STOW-RS answers (PS3.18 §10.5.3, §I.2): what became of each instance, and in one number of all."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import orjson

from mdm_async.dicom.sop_common import SopCommon
from mdm_async.pacs.statuses import SUCCESS
from mdm_async.web.dicomweb.accept import XML
from mdm_async.web.dicomweb.native_model import native

_CLASS, _INSTANCE = "00081150", "00081155"
_RETRIEVE_URL, _REASON = "00081190", "00081197"
_FAILED, _STORED, _OTHER_FAILURES = "00081198", "00081199", "0008119A"
HELD_EACH: Final = 2048
"""Bytes that what became of an instance may take in memory, twice of it as text."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """Of one part. `said`: None of what does not say which instance it is."""

    said: SopCommon | None
    status: int = SUCCESS
    study: str = ""
    series: str = ""


def status_of_all(outcomes: Sequence[Outcome]) -> int:
    failed = sum(one.status != SUCCESS for one in outcomes)
    if not failed:
        return 200
    return 409 if failed == len(outcomes) else 202


def document(outcomes: Sequence[Outcome], base: str, kind: str) -> bytes:
    """As JSON, or XML (PS3.18 §10.5.3.2). `base`: the URL below which originals are retrieved."""
    told: dict[str, Any] = {}
    studies = {one.study for one in outcomes if one.status == SUCCESS}
    if len(studies) == 1 and "" not in studies:
        told[_RETRIEVE_URL] = _uri(f"{base}/studies/{studies.pop()}")
    for tag, items in (
        (_FAILED, [_failed(one) for one in outcomes if one.status != SUCCESS and one.said is not None]),
        (_STORED, [_stored(one, base) for one in outcomes if one.status == SUCCESS]),
        (_OTHER_FAILURES, [_failed(one) for one in outcomes if one.status != SUCCESS and one.said is None]),
    ):
        if items:
            told[tag] = {"vr": "SQ", "Value": items}
    return native(told) if kind == XML else orjson.dumps(told)


def _failed(outcome: Outcome) -> dict[str, Any]:
    return _named(outcome.said) | {_REASON: {"vr": "US", "Value": [outcome.status]}}


def _stored(outcome: Outcome, base: str) -> dict[str, Any]:
    assert outcome.said is not None
    told = _named(outcome.said)
    if outcome.study and outcome.series:
        path = f"studies/{outcome.study}/series/{outcome.series}/instances/{outcome.said.instance}"
        told[_RETRIEVE_URL] = _uri(f"{base}/{path}")
    return told


def _named(said: SopCommon | None) -> dict[str, Any]:
    if said is None:
        return {}
    return {
        tag: {"vr": "UI", "Value": [uid]}
        for tag, uid in ((_CLASS, said.sop_class), (_INSTANCE, said.instance))
    }


def _uri(url: str) -> dict[str, Any]:
    return {"vr": "UR", "Value": [url]}
