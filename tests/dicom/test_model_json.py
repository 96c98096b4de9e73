"""What an archive says in the DICOM JSON model becomes the beginning of a file, whatever it says."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mdm_async.dicom.attributes import attributes_of
from mdm_async.dicom.identifiers import linking_values
from mdm_async.dicom.indexed import indexed
from mdm_async.dicom.model_json import (
    head_of,
    instance_uid,
    instances_in,
    modality,
    series_uid,
    shown,
    study_uid,
)
from mdm_async.errors import Malformed

STUDY = {
    "0020000D": {"vr": "UI", "Value": ["1.2.3"]},
    "00100020": {"vr": "LO", "Value": ["QZ-1"]},
    "00100010": {"vr": "PN", "Value": [{"Alphabetic": "Yamada^Tarou", "Ideographic": "山田^太郎"}]},
    "00201208": {"vr": "IS", "Value": [7]},
    "00081190": {"vr": "UR", "Value": ["http://pacs.example.org/studies/1.2.3"]},
}
INSTANCE = {
    "00080016": {"vr": "UI", "Value": ["1.2.840.10008.5.1.4.1.1.2"]},
    "00080018": {"vr": "UI", "Value": ["1.2.3.4.5"]},
    "0020000E": {"vr": "UI", "Value": ["1.2.3.4"]},
    "00080060": {"vr": "CS", "Value": ["CT"]},
}


def test_what_is_said_of_a_study_and_an_instance_is_read_back() -> None:
    said = linking_values(head_of(STUDY, INSTANCE))
    assert said == {
        "PatientID": "QZ-1",
        "StudyInstanceUID": "1.2.3",
        "SeriesInstanceUID": "1.2.3.4",
        "SOPInstanceUID": "1.2.3.4.5",
    }
    everything = attributes_of(head_of(STUDY, INSTANCE)).all()
    assert "山田" in str(everything["PatientName"])
    assert "http" not in str(everything)
    assert instances_in(STUDY) == 7
    assert instances_in(INSTANCE) is None


def test_of_what_both_say_the_instance_counts() -> None:
    other = INSTANCE | {"00100020": {"vr": "LO", "Value": ["QZ-2"]}}
    assert linking_values(head_of(STUDY, other))["PatientID"] == "QZ-2"


def test_an_instance_without_uid_is_none() -> None:
    with pytest.raises(Malformed):
        head_of(STUDY, {tag: one for tag, one in INSTANCE.items() if tag != "00080018"})


def test_an_instance_need_not_tell_its_class() -> None:
    head = head_of(STUDY, {tag: one for tag, one in INSTANCE.items() if tag != "00080016"})
    assert "SOPClassUID" not in attributes_of(head).all()
    assert linking_values(head) == linking_values(head_of(STUDY, INSTANCE))


JSON = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=30) | st.just("x" * 70_000),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=10), inner, max_size=3),
    max_leaves=6,
)
TAGS = st.sampled_from([f"{tag:08X}" for tag in indexed()]) | st.text(max_size=8)
ELEMENT = st.fixed_dictionaries({"vr": JSON, "Value": st.lists(JSON, max_size=3)})
SAID = st.dictionaries(TAGS, ELEMENT | JSON, max_size=8)


@given(SAID, SAID)
def test_nonsense_is_left_out(study: dict[str, Any], instance: dict[str, Any]) -> None:
    for said in (study, instance):
        shown(said)
        for asked in (study_uid, series_uid, instance_uid, modality):
            assert isinstance(asked(said), str)
        instances_in(said)
    head = head_of(study, instance | {tag: INSTANCE[tag] for tag in ("00080016", "00080018")})
    attributes_of(head)
    linking_values(head)
