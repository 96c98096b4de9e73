"""Whatever bytes come as an identifier or a request for commitment: read, or an error with a name."""

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom import Dataset
from pynetdicom.dsutils import encode

from mdm_async.dicom.elements import EXPLICIT_LITTLE, IMPLICIT_LITTLE, Encoding
from mdm_async.dicom.query_keys import answer, asked_to_commit, keys
from mdm_async.errors import BadQuery, Malformed
from mdm_async.pacs.dimse import queries
from mdm_async.pacs.dimse.answers import Unfit
from mdm_async.pacs.dimse.queries import Root

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
                queries.retrieved(root, one, encoding)
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
