"""Which queries an archive is asked, and what is said of those that it is not."""

import pytest

from mdm_async.errors import BadQuery
from mdm_async.pacs.sources.asking import Wanted


@pytest.mark.parametrize(
    ("query", "told"),
    [
        ("StudyDate=2024", "StudyDate is no date"),
        ("StudyDate=20240101-x", "StudyDate is no date"),
        ("StudyDate=-", "StudyDate is no date"),
        ("Modality=CT&Modality=MR", "Modality twice"),
        ("Modality=", "no value of Modality"),
        ("Modality", "no value of Modality"),
        ("PatientID=\xa0 ", "no value of PatientID"),
        ("Modalty=CT", "not asked for"),
        ("", None),
        ("StudyDate=20240101-", None),
        ("StudyDate=-20240131&Modality=CT", None),
        ("StudyDate=20240101", None),
        ("PatientName=DOE*", None),
    ],
)
def test_what_is_wrong_with_a_query_is_told(query: str, told: str | None) -> None:
    if told is None:
        Wanted.parse(None, query)
        return
    with pytest.raises(BadQuery) as why:
        Wanted.parse(None, query)
    assert told in str(why.value)


def test_a_modality_is_asked_for_as_archives_write_it() -> None:
    assert Wanted.parse(None, "Modality=ct").modality == "CT"
    assert Wanted.parse(None, "StudyDate=20240101").modality is None


@pytest.mark.parametrize("study", ["", "1.2.*", "1.2\\1.3"])
def test_what_is_no_study_is_not_everything(study: str) -> None:
    with pytest.raises(BadQuery, match="no UID"):
        Wanted.parse(study, None)
