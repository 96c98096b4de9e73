"""What a file says as a rejection note, in whichever encoding, and what is none."""

import io

import pytest
from pydicom.uid import ExplicitVRLittleEndian, ImplicitVRLittleEndian

from mdm_async.dicom import rejection_notes
from mdm_async.dicom.rejection_notes import REASONS, RejectionNote
from tests.pacs.devices import Image, image
from tests.pacs.notes import CODES, SAFETY, note

SR = "1.2.840.10008.5.1.4.1.1.88.11"


@pytest.fixture(scope="module")
def taken() -> list[Image]:
    """Instances of three series."""
    return [image(SeriesInstanceUID=f"1.2.{number // 2}") for number in range(5)]


@pytest.mark.parametrize("code", CODES)
def test_a_note_says_why_and_of_what(taken: list[Image], code: int) -> None:
    said = RejectionNote.of(note(taken, code).file)
    assert said is not None
    assert code in REASONS
    assert (said.code, said.instances) == (code, {one.instance for one in taken})


@pytest.mark.parametrize("syntax", [ImplicitVRLittleEndian, ExplicitVRLittleEndian])
@pytest.mark.parametrize("undefined", [False, True])
def test_however_it_is_encoded(taken: list[Image], syntax: str, undefined: bool) -> None:
    made = note(taken, SAFETY).read
    made.decode()
    evidence = made["CurrentRequestedProcedureEvidenceSequence"]
    evidence.is_undefined_length = undefined
    for item in evidence.value:
        item.is_undefined_length_sequence_item = undefined
    made.file_meta.TransferSyntaxUID = syntax
    written = io.BytesIO()
    made.save_as(written, enforce_file_format=True)
    said = RejectionNote.of(written.getvalue())
    assert said is not None
    assert said.instances == {one.instance for one in taken}


def test_what_is_none(taken: list[Image], monkeypatch: pytest.MonkeyPatch) -> None:
    whole = note(taken).file
    none = {
        "an image": taken[0].file,
        "a manifest": note(taken, 113030).file,
        "a code of another scheme": note(taken, scheme="99DCM").file,
        "another document": note(taken, SOPClassUID=SR).file,
        "no file": b"",
        "cut in its evidence": whole[:-20],
        "not even a head": whole[:100],
    }
    assert [what for what, file in none.items() if RejectionNote.of(file) is not None] == []
    monkeypatch.setattr(rejection_notes, "MOST", len(taken) - 1)
    assert RejectionNote.of(whole) is None
