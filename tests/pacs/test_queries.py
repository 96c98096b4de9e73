"""Whatever bytes come as an identifier or a request for commitment: read, or an error with a name."""

from contextlib import nullcontext, suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom import Dataset
from pynetdicom.dsutils import encode

from mdm_async.dicom.elements import EXPLICIT_LITTLE, IMPLICIT_LITTLE, Encoding
from mdm_async.dicom.query_keys import answer, asked_to_commit, keys
from mdm_async.errors import BadQuery, Malformed
from mdm_async.images.studies.asked import condition
from mdm_async.pacs.dimse import queries
from mdm_async.pacs.dimse.answers import Unfit
from mdm_async.pacs.dimse.queries import Root
from tests.pacs.tools import identifier

ENCODINGS = (EXPLICIT_LITTLE, IMPLICIT_LITTLE)


def whole(encoding: Encoding) -> bytes:
    asked = Dataset()
    asked.SpecificCharacterSet = "ISO_IR 192"
    asked.QueryRetrieveLevel, asked.StudyInstanceUID, asked.PatientName = "STUDY", "1.2.3", "Größe^Ä"
    asked.StudyDate, asked.TransactionUID = "20260101-", "1.2"
    one = Dataset()
    one.ReferencedSOPClassUID, one.ReferencedSOPInstanceUID = "1.2.3", "1.2.4"
    asked.ReferencedSOPSequence = [one]
    return encode(asked, not encoding.explicit, True) or b""


@pytest.mark.parametrize("encoding", ENCODINGS)
@given(data=st.data())
def test_any_bytes_are_read_or_refused(encoding: Encoding, data: st.DataObject) -> None:
    changed = bytearray(whole(encoding))
    for _ in range(data.draw(st.integers(0, 4))):
        changed[data.draw(st.integers(0, len(changed) - 1))] = data.draw(st.integers(0, 255))
    cut = changed[: data.draw(st.integers(0, len(changed)))]
    for one in (bytes(changed), bytes(cut), bytes(cut) + data.draw(st.binary(max_size=40))):
        for root in Root:
            with suppress(Unfit):
                queries.parse(root, one, encoding)
            with suppress(Unfit, BadQuery):
                assert queries.retrieved(root, one, encoding)
        with suppress(Malformed):
            asked_to_commit(one, encoding, 10)


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_names_in_any_alphabet_are_asked_for_and_told(encoding: Encoding) -> None:
    query = queries.parse(Root.STUDY, whole(encoding), encoding)
    assert dict(query.matching)["PatientName"] == "Größe^Ä"
    told = answer({0x00100010: (b"PN", ["Größe^Ä=日本"]), 0x00280010: (b"US", [512.0])}, encoding)
    read = keys(told, encoding)
    assert read[0x00100010].text == "Größe^Ä=日本"
    assert read[0x00080005].text == "ISO_IR 192"
    assert told.endswith(b"\x00\x02")


def encoded(encoding: Encoding, level: str, **keys: str) -> bytes:
    asked = identifier(level, **keys)
    asked.SpecificCharacterSet = "ISO_IR 192"
    return encode(asked, not encoding.explicit, True) or b""


@pytest.mark.parametrize("blank", ["\t", "\xa0\xa0", " ", "\u2003\t", "\\", ""])
@pytest.mark.parametrize("encoding", ENCODINGS)
def test_a_blank_patient_id_is_not_everybody(encoding: Encoding, blank: str) -> None:
    for level, more in (("PATIENT", {}), ("STUDY", {"StudyInstanceUID": "1.2"})):
        with pytest.raises(Unfit, match="PatientID"):
            queries.retrieved(Root.PATIENT, encoded(encoding, level, PatientID=blank, **more), encoding)
    with pytest.raises(Unfit, match="PatientID"):
        queries.parse(Root.PATIENT, encoded(encoding, "STUDY", PatientID=blank), encoding)


@pytest.mark.parametrize("keyword", ["PatientName", "Modality", "StudyDate", "SOPClassUID", "Rows"])
def test_a_blank_value_of_any_key_finds_no_more_than_was_meant(keyword: str) -> None:
    for blank in ("\t", "\xa0"):
        with pytest.raises(BadQuery):
            condition(keyword, blank)
    for blank in ("\xa0\\\t", "\\"):
        with suppress(BadQuery):
            assert condition(keyword, blank) is not None
    assert condition(keyword, " ") is None


def test_numbers_are_matched_and_what_cannot_be_read_is_refused() -> None:
    study = "1.2.3"
    asked = identifier(
        "IMAGE", StudyInstanceUID=study, SeriesInstanceUID="1.2", SOPInstanceUID="1.3", Rows=512
    )
    for encoding in ENCODINGS:
        found = queries.retrieved(Root.STUDY, encode(asked, not encoding.explicit, True) or b"", encoding)
        assert condition("Rows", "512") in found
    data = encode(identifier("STUDY", StudyInstanceUID=study), False, True) or b""
    unknown = b"\x10\0\x20\0UN\0\0\4\0\0\0P-1 "
    at = data.index(b"\x20\0\x0d\0")
    found = queries.retrieved(Root.STUDY, data[:at] + unknown + data[at:], EXPLICIT_LITTLE)
    assert condition("PatientID", "P-1") in found
    with pytest.raises(Unfit, match="not written"):
        queries.retrieved(Root.STUDY, data[:at] + unknown.replace(b"UN", b"OB") + data[at:], EXPLICIT_LITTLE)


def test_what_is_retrieved_has_so_many_conditions_at_the_most() -> None:
    for count in (100, 300):
        asked = identifier("STUDY", StudyInstanceUID="1.2.3", StudyDescription="\\".join(["a*"] * count))
        data = encode(asked, is_implicit_vr=False, is_little_endian=True)
        assert data is not None
        with suppress(BadQuery) if count > 200 else nullcontext():
            assert len(queries.retrieved(Root.STUDY, data, EXPLICIT_LITTLE)) == 2
            assert count < 200
