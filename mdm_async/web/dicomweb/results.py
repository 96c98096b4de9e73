"""Rows of a search as QIDO-RS tells them (PS3.18 §10.6.3)."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

import orjson

from mdm_async.catalog.metadata.studies import Row
from mdm_async.dicom.dictionary import tag_of, vr_of
from mdm_async.dicom.indexed import Level, by_keyword
from mdm_async.dicom.json_model import searched as told_value
from mdm_async.web.dicomweb.asked import Searched

_OF_STUDY: Final = (
    "StudyDate", "StudyTime", "AccessionNumber", "ReferringPhysicianName", "TimezoneOffsetFromUTC",
    "StudyDescription", "PatientName", "PatientID", "PatientBirthDate", "PatientSex", "StudyInstanceUID", "StudyID",
)  # fmt: skip
_OF_SERIES: Final = (
    "Modality", "TimezoneOffsetFromUTC", "SeriesDescription", "StudyInstanceUID", "SeriesInstanceUID", "SeriesNumber",
    "PerformedProcedureStepStartDate", "PerformedProcedureStepStartTime",
)  # fmt: skip
_OF_INSTANCE: Final = (
    "SOPClassUID", "SOPInstanceUID", "TimezoneOffsetFromUTC", "StudyInstanceUID", "SeriesInstanceUID",
    "InstanceNumber", "Rows", "Columns", "BitsAllocated", "NumberOfFrames",
)  # fmt: skip
_LEVELS: Final = (Level.PATIENT, Level.STUDY, Level.SERIES, Level.INSTANCE)
_META: Final = "TransferSyntaxUID"


def document(rows: Sequence[Row], searched: Searched, base: str, end: str) -> bytes:
    """`base`: the URL below which studies are retrieved; `end`: what ends each."""
    keywords = told_of(searched)
    return orjson.dumps([_told(row, searched, keywords, base, end) for row in rows])


def told_of(searched: Searched) -> list[str]:
    """The keywords of what is told that is indexed, of the level and those above."""
    asked = searched.asked
    above = _LEVELS[: _LEVELS.index(asked.level) + 1]
    indexed = {name: row for name, row in by_keyword().items() if row.level in above}
    told: dict[str, None] = {}
    if asked.level is Level.STUDY or asked.within.study is None:
        told |= dict.fromkeys(_OF_STUDY)
    if asked.level is Level.SERIES or (asked.level is Level.INSTANCE and asked.within.series is None):
        told |= dict.fromkeys(_OF_SERIES)
    if asked.level is Level.INSTANCE:
        told |= dict.fromkeys(_OF_INSTANCE)
    told |= dict.fromkeys(name for name in indexed if searched.everything or name in searched.fields)
    return [name for name in told if name in indexed]


def _told(row: Row, searched: Searched, keywords: Sequence[str], base: str, end: str) -> Mapping[str, Any]:
    asked = searched.asked
    url = f"{base}/studies/{row.study}"
    told: dict[int, dict[str, Any]] = {}

    def tell(keyword: str, values: Sequence[Any], tag: int | None = None) -> None:
        tag = tag or tag_of(keyword)
        told[tag] = told_value((vr_of(tag) or b"UN").decode(), list(values))

    for keyword in keywords:
        if keyword == _META:
            tell(keyword, row.said.get(keyword, ()), tag_of("AvailableTransferSyntaxUID"))
        else:
            tell(keyword, row.said.get(keyword, ()))
    if asked.level is Level.STUDY:
        tell("ModalitiesInStudy", row.modalities)
        if searched.everything or "SOPClassesInStudy" in searched.fields:
            tell("SOPClassesInStudy", row.classes)
        tell("NumberOfStudyRelatedSeries", _counted(row.count_of_series))
        tell("NumberOfStudyRelatedInstances", _counted(row.count))
    else:
        url += f"/series/{row.series}"
        if asked.level is Level.SERIES:
            tell("NumberOfSeriesRelatedInstances", _counted(row.count))
        else:
            url += f"/instances/{row.instance}"
    tell("RetrieveURL", [url + end])
    return {f"{tag:08X}": told[tag] for tag in sorted(told)}


def _counted(count: int | None) -> list[int]:
    return [] if count is None else [count]
